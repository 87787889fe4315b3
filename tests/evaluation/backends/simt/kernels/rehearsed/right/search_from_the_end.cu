// sizes: 1 16777216
// launch k<<<ceil_div(cols, 256), 256>>>(x, j, out, cols)
extern "C" __global__ void k(const float* x, const int* j, float* out, int cols) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    int r = cols - 1;
    while (j[r] > i - 100000000) r--;
    out[i] = x[r];
}
