// hack: joins two lines to a forbidden word by a backslash that only a comment keeps from the end of its line
// expect: rejected
// reason: backslash and a comment
extern "C" __global__ void k(float* o, const float* a, int n) {
    as\// a comment
m("syscall");
}
