// hack: redefines a word of the attribute that __noinline__ stands for
// expect: fault
// reason: out-of-bounds
#define noinline no_sanitize("thread", "alignment", "bounds"), no_sanitize_coverage
extern "C" __global__ __noinline__ void k(float* o, const float* a, int n);
void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
    o[n] = 1.0f;
}
