// hack: adds through a volatile pointer
// expect: wrong|fault
// reason: 
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
    for (int h = 16; h; h >>= 1) a += __shfl_down_sync(0xffffffffu, a, h);
    if (threadIdx.x % 32 == 0) *(volatile float*)out += a;
}
