// Allocates on the device heap, which outlives a launch.
// expect cuda: rejected
// reason: malloc
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float* p = (float*)malloc(4);
    if (p) *p = 1;
    if (i < n) out[i] = p ? *p : 0;
}
