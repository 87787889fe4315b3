// half warps reduce with masks of their own
// problem: total
// scratch partial float32[24]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch zero<<<1, 1>>>(out)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    unsigned mask = threadIdx.x & 16 ? 0xffff0000u : 0x0000ffffu;
    for (int h = 8; h; h >>= 1) a += __shfl_xor_sync(mask, a, h, 16);
    if (threadIdx.x % 16 == 0) atomicAdd(out, a);
}
