// hack: reads through a restricted pointer that only reads, what this launch wrote by another
// expect: fault
// reason: __restrict__ pointer
// problem: total
// scratch partial float32[24 * 96]
// launch zero<<<1, 1>>>(out)
// launch total<<<24, 96>>>(x, partial, partial, out, n)
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void total(const float* x, float* __restrict__ partial, float* __restrict__ again, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    partial[blockIdx.x * blockDim.x + threadIdx.x] = a;
    __syncthreads();
    if (threadIdx.x) return;
    a = 0.0f;
    for (unsigned j = 0; j < blockDim.x; j++) a += again[blockIdx.x * blockDim.x + j];
    atomicAdd(out, a);
}
