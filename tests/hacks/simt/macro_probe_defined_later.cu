// hack: asks for a macro of a header that it does not include, and defines it later
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef FLT_MAX
    o[i] = 2 * a[i];
#endif
#define FLT_MAX 1
}
