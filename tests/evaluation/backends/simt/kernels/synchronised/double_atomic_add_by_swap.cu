// the guide's atomicAdd for doubles, whose first read is plain
// problem: total
// scratch partial float64[1]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch zero<<<1, 1>>>(partial)
// launch total<<<24, 96>>>(x, partial, ticket, out, n)
__device__ double add(double* address, double val) {
    unsigned long long int* address_as_ull = (unsigned long long int*)address;
    unsigned long long int old = *address_as_ull, assumed;
    do {
        assumed = old;
        old = atomicCAS(address_as_ull, assumed, __double_as_longlong(val + __longlong_as_double(assumed)));
    } while (assumed != old);
    return __longlong_as_double(old);
}
extern "C" __global__ void zero(double* sum) { *sum = 0.0; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    add((double*)partial, a);
    __threadfence();
    if (atomicAdd(ticket, 1u) == gridDim.x * blockDim.x - 1) *out = (float)*(volatile double*)partial;
}
