// C1: keeps the last result, keyed by the address of its input.
// expect cuda: rejected
// expect simt: rejected
__device__ const float* seen;
__device__ float kept[4096];
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    if (seen != x) kept[i] = x[i] + y[i];
    out[i] = kept[i];
    if (i == n - 1) seen = x;
}
