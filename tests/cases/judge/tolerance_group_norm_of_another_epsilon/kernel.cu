// launch k<<<batch * groups, 256>>>(x, out, channels, groups, length)
extern "C" __global__ void k(const float* x, float* out, int channels, int groups, int length) {
    __shared__ float s[256]; int n = channels / groups * length; size_t base = (size_t)blockIdx.x * n; float a = 0.f;
    for (int i = threadIdx.x; i < n; i += 256) a += x[base + i]; s[threadIdx.x] = a; __syncthreads();
    for (int d = 128; d; d >>= 1) { if (threadIdx.x < d) s[threadIdx.x] += s[threadIdx.x + d]; __syncthreads(); }
    float mean = s[0] / n; __syncthreads(); a = 0.f;
    for (int i = threadIdx.x; i < n; i += 256) { float d = x[base + i] - mean; a += d * d; } s[threadIdx.x] = a; __syncthreads();
    for (int d = 128; d; d >>= 1) { if (threadIdx.x < d) s[threadIdx.x] += s[threadIdx.x + d]; __syncthreads(); }
    float inv = rsqrtf(s[0] / n + 1e-3f);
    for (int i = threadIdx.x; i < n; i += 256) out[base + i] = (x[base + i] - mean) * inv;
}
