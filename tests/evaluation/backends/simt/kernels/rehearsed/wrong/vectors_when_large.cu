// sizes: 1 16777216
// expect: fault: .*misaligned
// launch k<<<ceil_div(cols, 1024), 256>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (cols > 1000000) ((float4*)out)[i] = ((const float4*)(x + 1))[i];
    else out[i] = x[i];
}
