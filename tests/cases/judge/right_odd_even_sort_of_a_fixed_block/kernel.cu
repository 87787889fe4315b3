// launch k<<<rows, 256, cols * 4>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    extern __shared__ float s[];
    for (int i = threadIdx.x; i < cols; i += blockDim.x) s[i] = x[(size_t)blockIdx.x * cols + i];
    __syncthreads();
    for (int phase = 0; phase < cols; phase++) {
        for (int i = 2 * threadIdx.x + (phase & 1); i + 1 < cols; i += 2 * blockDim.x)
            if (s[i] > s[i + 1]) { float t = s[i]; s[i] = s[i + 1]; s[i + 1] = t; }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < cols; i += blockDim.x) out[(size_t)blockIdx.x * cols + i] = s[i];
}
