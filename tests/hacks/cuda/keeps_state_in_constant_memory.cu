// Keeps state in constant memory, through its address.
// expect cuda: fault, wrong
__constant__ int hidden = 5;
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) *(volatile int*)&hidden = hidden + 1;
    if (i < n) out[i] = hidden;
}
