// hack: adds by an atomic load and an atomic store, between which others add
// expect: wrong
// reason: 
// problem: total
// scratch partial float32[24 * 96]
// scratch ticket int32[2]
// launch zero<<<1, 1>>>(out)
// launch clear<<<1, 2>>>(ticket)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
__device__ float block_sum(float v) {
    __shared__ float sums[32];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    for (int h = 16; h; h >>= 1) v += __shfl_down_sync(0xffffffffu, v, h);
    __syncthreads();
    if (lane == 0) sums[warp] = v;
    __syncthreads();
    if (warp == 0) {
        v = lane < (blockDim.x + 31) / 32 ? sums[lane] : 0.0f;
        for (int h = 16; h; h >>= 1) v += __shfl_down_sync(0xffffffffu, v, h);
    }
    return v;
}
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    a = block_sum(a);
    if (threadIdx.x) return;
    float before = atomicAdd(out, 0.0f);
    atomicExch(out, before + a);
}
