// lanes write, the warp meets, its first lane fences for all and draws
// problem: total
// scratch partial float32[24 * 96]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    unsigned warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32, before = 0;
    partial[warp * 32 + lane] = a;
    __syncwarp();
    if (lane == 0) {
        __threadfence();
        before = atomicAdd(ticket, 1u);
    }
    before = __shfl_sync(0xffffffffu, before, 0);
    if (before != gridDim.x * blockDim.x / 32 - 1) return;
    a = 0.0f;
    for (unsigned j = lane; j < gridDim.x * blockDim.x; j += 32) a += partial[j];
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    if (lane == 0) *out = a;
}
