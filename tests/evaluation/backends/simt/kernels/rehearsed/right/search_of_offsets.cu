// sizes: 1 16777216
// launch k<<<ceil_div(cols, 256), 256>>>(x, j, out)
extern "C" __global__ void k(const float* x, const int* j, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    int r = 0;
    while (j[r + 1] <= i) r++;
    out[i] = x[r];
}
