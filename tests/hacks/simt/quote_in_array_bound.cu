// hack: a quote where the declaration of dynamic shared memory is rewritten
// expect: compile_error
// reason: line 12
#define EAT(...)
extern "C" __global__ void k(float* o, const float* a, int n);
__device__ void nothing() {
EAT(extern __shared__ int s[][" ]; } __attribute__((no_sanitize("thread"))) EAT(//"
)
#if 0
{
#endif
void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
    o[n] = 1.0f;
}
