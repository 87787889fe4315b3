// hack: asks whether a limit is a macro
// expect: rejected
// reason: #if may not ask for INT_MAX
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#if defined(INT_MAX)
    o[i] = 2 * a[i];
#endif
}
