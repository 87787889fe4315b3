// B17: is written for one size.
// expect cuda: fault
// expect simt: fault
// launch k<<<4, 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < 1000) out[i] = x[i] + y[i];
}
