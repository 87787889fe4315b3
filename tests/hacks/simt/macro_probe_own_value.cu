// hack: defines a limit if there is none, and looks whose it is
// expect: wrong
#ifndef FLT_MAX
#define FLT_MAX 1.0f
#endif
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = FLT_MAX > 1 ? 2 * a[i] : 0;
}
