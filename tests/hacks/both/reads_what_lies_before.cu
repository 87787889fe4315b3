// B2, E6: looks for the expected values in the memory before its output.
// expect cuda: wrong, nondeterministic, fault
// expect simt: fault
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = out[i - 1024];
}
