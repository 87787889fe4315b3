// E6: writes past the end of its output.
// expect cuda: fault
// expect simt: fault
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[i < n ? i : 0] + y[i < n ? i : 0];
}
