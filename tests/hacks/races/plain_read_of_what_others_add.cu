// hack: reads plainly what other blocks still add to, and stores it
// expect: fault
// reason: race.*of partial
// problem: total
// scratch partial float32[24 * 96]
// scratch ticket int32[2]
// launch zero<<<1, 1>>>(partial)
// launch clear<<<1, 2>>>(ticket)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
extern "C" __global__ void zero(float* partial) { *partial = 0.0f; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    atomicAdd(partial, a);
    if (atomicAdd(ticket, 1u) == gridDim.x * blockDim.x - 1) *out = *partial;
}
