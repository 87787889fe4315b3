// sizes: 1 16777216
// scratch end int32[cols]
// launch k<<<ceil_div(cols, 256), 256>>>(x, end, out)
extern "C" __global__ void k(const float* x, const int* end, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[end[i] - 1];
}
