// hack: pastes a macro that only this compiler defines
// expect: rejected
// reason: __linux__ is not allowed
#define JOIN(x, y) x##y
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = JOIN(__lin, ux__) * 2 * a[i];
}
