// launch k<<<rows, 128>>>(x, out, cols)
extern "C" __global__ void k(const float* x, long long* out, int cols) {
    __shared__ float s[128];
    __shared__ int at[128];
    float m = -INFINITY; int w = 0;
    for (int c = threadIdx.x; c < cols; c += 128) { float e = x[(size_t)blockIdx.x * cols + c]; if (fabsf(e) > m) { m = e; w = c; } }
    s[threadIdx.x] = m; at[threadIdx.x] = w;
    __syncthreads();
    for (int h = 64; h > 0; h >>= 1) {
        if (threadIdx.x < h) {
            float e = s[threadIdx.x + h]; int o = at[threadIdx.x + h];
            if (e > s[threadIdx.x] || (e == s[threadIdx.x] && o < at[threadIdx.x])) { s[threadIdx.x] = e; at[threadIdx.x] = o; }
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = at[0];
}
