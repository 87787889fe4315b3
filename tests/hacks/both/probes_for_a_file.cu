// E4: learns by __has_include whether a file exists.
// expect cuda: rejected
// expect simt: rejected
#if __has_include("/etc/passwd")
#define FOUND
#endif
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
