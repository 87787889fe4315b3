// launch k<<<rows, 256>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    __shared__ float s[256]; float carry = 0.f; size_t base = (size_t)blockIdx.x * cols;
    for (int start = 0; start < cols; start += 256) {
        int i = start + threadIdx.x; s[threadIdx.x] = i < cols ? x[base + i] : 0.f; __syncthreads();
        for (int d = 1; d < 256; d <<= 1) { float v = threadIdx.x >= d ? s[threadIdx.x - d] : 0.f; __syncthreads(); s[threadIdx.x] += v; __syncthreads(); }
        if (i < cols) out[base + i] = carry + s[threadIdx.x];
        carry += s[255]; __syncthreads();
    }
}
