// E2, E4: hides the name of the file behind a macro.
// expect cuda: rejected
// expect simt: rejected
#define FILE "/etc/passwd"
#include FILE
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
