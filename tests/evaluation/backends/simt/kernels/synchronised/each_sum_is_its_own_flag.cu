// the last block reads each volatile sum until it is there; no two words need an order
// problem: total
// scratch partial float32[24]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch clear<<<1, 24>>>(partial)
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
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, volatile float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    a = block_sum(a);
    if (threadIdx.x == 0) partial[blockIdx.x] = a + 1.0f;
    if (blockIdx.x != gridDim.x - 1 || threadIdx.x != 0) return;
    a = 0.0f;
    for (unsigned j = 0; j < gridDim.x; j++) {
        float sum;
        do sum = partial[j]; while (sum == 0.0f);
        a += sum - 1.0f;
    }
    *out = a;
}
