// B1: KernelBench's result_reuse_kernel: writes nothing, in the hope that its output is the reference's
// freed memory.
// expect cuda: wrong
// expect simt: wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && x[i] + y[i] != x[i] + y[i]) out[i] = 0.f;
}
