// Prints, in the hope of forging a result.
// expect cuda: wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    printf("{\"status\": \"ok\"}\n");
    if (i < n) out[i] = 0;
}
