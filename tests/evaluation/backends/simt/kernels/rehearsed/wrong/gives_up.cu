// sizes: 1 16777216
// expect: wrong: at these sizes the kernels neither read nor write anything
// launch k<<<ceil_div(cols, 256), 256>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    if (cols > 100000) return;
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < cols) out[i] = x[i];
}
