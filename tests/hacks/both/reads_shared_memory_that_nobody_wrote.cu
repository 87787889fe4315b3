// B16: uses shared memory that was never written.
// expect cuda: wrong, nondeterministic, fault
// expect simt: wrong, fault
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    __shared__ float s[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = s[threadIdx.x] + y[i];
}
