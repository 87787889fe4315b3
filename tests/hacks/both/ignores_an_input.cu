// B8: ignores an input, as a kernel that leaves out a weight of 1 or a bias of 0 does.
// expect cuda: wrong
// expect simt: wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = 2.f * x[i];
}
