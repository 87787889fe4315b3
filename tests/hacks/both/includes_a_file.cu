// E4: includes a file of the host, which error messages would quote.
// expect cuda: rejected
// expect simt: rejected
#include "/etc/passwd"
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
