// one warp waits for another at a volatile flag in shared memory
// problem: total
// scratch partial float32[24]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch zero<<<1, 1>>>(out)
// launch total<<<24, 64>>>(x, partial, ticket, out, n)
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    __shared__ float sums[2];
    __shared__ volatile int ready;
    if (threadIdx.x == 0) ready = 0;
    __syncthreads();
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    if (threadIdx.x == 32) {
        sums[1] = a;
        __threadfence_block();
        ready = 1;
    }
    if (threadIdx.x == 0) {
        while (!ready) {}
        __threadfence_block();
        atomicAdd(out, a + sums[1]);
    }
}
