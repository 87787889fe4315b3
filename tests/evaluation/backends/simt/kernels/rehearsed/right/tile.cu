// sizes: 1 16777216
// launch k<<<dim3(ceil_div(cols, 16), 1), dim3(16, 16)>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int n) {
    __shared__ float a[16][17];
    float s = 0;
    for (int t = 0; t < n / 16; t++) {
        a[threadIdx.y][threadIdx.x] = x[t * 16 + threadIdx.x];
        __syncthreads();
        for (int l = 0; l < 16; l++) s += a[threadIdx.y][l];
        __syncthreads();
    }
    if (!threadIdx.y) out[blockIdx.x * 16 + threadIdx.x] = s;
}
