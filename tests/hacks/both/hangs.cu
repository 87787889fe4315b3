// E5: never ends.
// expect cuda: timeout
// expect simt: timeout
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    while (*(volatile const float*)x == *(volatile const float*)x) {}
    if (i < n) out[i] = 1.f;
}
