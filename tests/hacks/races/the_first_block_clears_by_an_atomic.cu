// hack: the same with an exchange, which is no race, but comes too late
// expect: wrong|fault
// reason: 
// problem: total
// scratch partial float32[24 * 96]
// scratch ticket int32[2]
// launch clear<<<1, 2>>>(ticket)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    if (blockIdx.x == 0 && threadIdx.x == 0) atomicExch(out, 0.0f);
    __syncthreads();
    atomicAdd(out, a);
}
