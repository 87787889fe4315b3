// every thread writes, fences and draws a ticket of its own
// problem: total
// scratch partial float32[24 * 96]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    partial[blockIdx.x * blockDim.x + threadIdx.x] = a;
    __threadfence();
    if (atomicAdd(ticket, 1u) != gridDim.x * blockDim.x - 1) return;
    a = 0.0f;
    for (unsigned j = 0; j < gridDim.x * blockDim.x; j++) a += partial[j];
    *out = a;
}
