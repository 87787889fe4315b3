// hack: reads a vector behind a buffer to hand it to a store, whose parameter is the vector
// expect: fault
// reason: out-of-bounds
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n / 4) __stcs((float4*)o + i, ((const float4*)a)[n / 4 + i]);
    if (i < n) o[i] = 2.0f * a[i];
}
