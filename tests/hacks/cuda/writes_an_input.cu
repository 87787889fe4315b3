// Changes an input, so that the reference would agree.
// expect cuda: fault
// reason: input x
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    ((float*)x)[0] = 1;
    if (i < n) out[i] = 0;
}
