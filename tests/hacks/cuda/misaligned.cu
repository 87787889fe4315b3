// Misaligned.
// expect cuda: fault
// reason: misaligned
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) *(double*)(out + 1) = 1;
}
