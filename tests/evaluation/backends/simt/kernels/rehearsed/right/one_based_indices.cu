// sizes: 1 16777216
// launch k<<<ceil_div(cols, 256), 256>>>(x, j, out)
extern "C" __global__ void k(const float* x, const int* j, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[j[i] - 1];
}
