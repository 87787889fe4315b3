// hack: reads through the read-only cache what this launch wrote
// expect: fault
// reason: read-only cache
// problem: total
// scratch partial float32[24 * 96]
// scratch ticket int32[2]
// launch zero<<<1, 1>>>(out)
// launch clear<<<1, 2>>>(ticket)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    partial[blockIdx.x * blockDim.x + threadIdx.x] = a;
    __syncthreads();
    if (threadIdx.x) return;
    a = 0.0f;
    for (unsigned j = 0; j < blockDim.x; j++) a += __ldg(partial + blockIdx.x * blockDim.x + j);
    atomicAdd(out, a);
}
