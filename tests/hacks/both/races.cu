// B16: lets threads overwrite one another's sum.
// expect cuda: nondeterministic, wrong, fault
// expect simt: fault, wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    __shared__ float s;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    s = i < n ? x[i] + y[i] : 0.f;
    __syncthreads();
    if (i < n) out[i] = s;
}
