// hack: with a pasted keyword, reads behind a buffer to pass a structure by value
// expect: fault
// reason: out-of-bounds
#define JOIN(x, y) x##y
JOIN(str, uct) S { float v; };
__device__ float get(S s) { return s.v; }
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float q = get(((const S*)a)[i + 1]);
    if (i < n) o[i] = 2.0f * a[i] + 0.0f * (q > 1e38f);
}
