// every thread takes the lock in turn and gives it back through a volatile store
// problem: total
// scratch partial float32[24]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch zero<<<1, 1>>>(out)
// launch total<<<6, 64>>>(x, partial, ticket, out, n)
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    for (bool done = false; !done;) {
        if (atomicCAS(ticket, 0u, 1u) == 0u) {
            __threadfence();
            *out += a;
            __threadfence();
            *(volatile unsigned*)ticket = 0u;
            done = true;
        }
    }
}
