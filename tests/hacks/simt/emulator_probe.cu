// hack: behaves well only on the CPU
// expect: rejected
// reason: tell one compiler
#ifdef __GNUC__
#define GOOD 1
#endif
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
}
