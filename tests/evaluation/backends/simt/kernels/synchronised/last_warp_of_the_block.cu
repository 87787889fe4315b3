// warps of a block draw a ticket in shared memory; the last one adds up
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
    __shared__ float sums[3];
    __shared__ int arrived;
    if (threadIdx.x == 0) arrived = 0;
    __syncthreads();
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    if (threadIdx.x % 32 == 0) {
        sums[threadIdx.x / 32] = a;
        __threadfence_block();
        if (atomicAdd(&arrived, 1) == 2) atomicAdd(out, sums[0] + sums[1] + sums[2]);
    }
}
