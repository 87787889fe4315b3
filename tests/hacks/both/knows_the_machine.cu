// E7: computes for one backend and not for the other.
// expect cuda: rejected, wrong
// expect simt: rejected, wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#if defined(__CUDA_ARCH__)
    if (i < n) out[i] = x[i] + y[i] + 1.f;
#else
    if (i < n) out[i] = x[i] + y[i] - 1.f;
#endif
}
