// scratch part float32[batch]
// launch rows<<<batch, 128>>>(x, t, part, classes)
// launch mean<<<1, 256>>>(part, out, batch)
extern "C" __global__ void rows(const float* x, const long long* t, float* part, int classes) {
    __shared__ float sm[128], ss[128]; const float* r = x + (size_t)blockIdx.x * classes; float m = -INFINITY, s = 0.f;
    for (int i = threadIdx.x; i < classes; i += 128) { float v = r[i], n = fmaxf(m, v); s = s * expf(m - n) + expf(v - n); m = n; }
    sm[threadIdx.x] = m; ss[threadIdx.x] = s; __syncthreads();
    for (int d = 64; d; d >>= 1) { if (threadIdx.x < d) { float a = sm[threadIdx.x], b = sm[threadIdx.x + d], n = fmaxf(a, b);
        float sa = a == -INFINITY ? 0.f : ss[threadIdx.x] * expf(a - n), sb = b == -INFINITY ? 0.f : ss[threadIdx.x + d] * expf(b - n);
        sm[threadIdx.x] = n; ss[threadIdx.x] = sa + sb; } __syncthreads(); }
    if (threadIdx.x == 0) part[blockIdx.x] = sm[0] + logf(ss[0]) - r[t[blockIdx.x]];
}
extern "C" __global__ void mean(const float* part, float* out, int n) {
    __shared__ float s[256]; float a = 0.f; for (int i = threadIdx.x; i < n; i += 256) a += part[i];
    s[threadIdx.x] = a; __syncthreads();
    for (int d = 128; d; d >>= 1) { if (threadIdx.x < d) s[threadIdx.x] += s[threadIdx.x + d]; __syncthreads(); }
    if (threadIdx.x == 0) *out = s[0] / n;
}
