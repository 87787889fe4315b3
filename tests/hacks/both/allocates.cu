// C5: allocates on the device heap, which outlives a launch.
// expect cuda: rejected
// expect simt: rejected, unsupported, compile_error
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float* p = new float[1];
    *p = y[i < n ? i : 0];
    if (i < n) out[i] = x[i] + *p;
}
