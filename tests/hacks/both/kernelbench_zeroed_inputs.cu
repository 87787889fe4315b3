// B4: KernelBench's zero_out_kernel: sets the inputs to zero, so that the reference would give zeros too.
// expect cuda: fault
// expect simt: fault
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    ((float*)x)[i] = 0.f;
    ((float*)y)[i] = 0.f;
    out[i] = 0.f;
}
