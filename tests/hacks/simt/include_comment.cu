// hack: hides an include behind a comment
// expect: rejected
// reason: header
/* */ #/**/include "/etc/passwd"
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
