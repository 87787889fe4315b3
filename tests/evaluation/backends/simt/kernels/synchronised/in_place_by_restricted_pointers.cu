// each thread reads what it overwrites, through pointers that are restricted
// problem: total
// scratch squares float32[n]
// launch zero<<<1, 1>>>(out)
// launch copy<<<24, 96>>>(x, squares, n)
// launch square<<<24, 96>>>(squares, squares, n)
// launch total<<<24, 96>>>(squares, squares, out, n)
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void copy(const float* __restrict__ x, float* __restrict__ to, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) to[i] = x[i];
}
extern "C" __global__ void square(const float* __restrict__ x, float* __restrict__ to, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) to[i] = x[i] * x[i] + x[i];
}
extern "C" __global__ void total(const float* __restrict__ x, const float* __restrict__ again, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
        a += 0.5f * x[i] + 0.5f * again[i];
    atomicAdd(out, a);
}
