// B17: gives the answer for one structure of inputs (all equal) only.
// expect cuda: wrong
// expect simt: wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[0] + y[0];
}
