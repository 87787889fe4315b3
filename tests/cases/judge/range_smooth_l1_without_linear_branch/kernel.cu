// scratch part float32[64]
// launch a<<<64, 128>>>(x, y, part, n)
// launch b<<<1, 32>>>(part, out, n)
extern "C" __global__ void a(const float* x, const float* y, float* part, int n) {
    __shared__ float s[128];
    float v = 0.f;
    for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128) {
        float d = fabsf(x[i] - y[i]);
        v += 0.5f * d * d;
    }
    s[threadIdx.x] = v;
    __syncthreads();
    for (int h = 64; h > 0; h >>= 1) {
        if (threadIdx.x < h) s[threadIdx.x] += s[threadIdx.x + h];
        __syncthreads();
    }
    if (threadIdx.x == 0) part[blockIdx.x] = s[0];
}
extern "C" __global__ void b(const float* part, float* out, int n) {
    float v = part[threadIdx.x] + part[threadIdx.x + 32];
    for (int h = 16; h > 0; h >>= 1) v += __shfl_down_sync(0xffffffffu, v, h);
    if (threadIdx.x == 0) out[0] = v / n;
}
