// C1: keeps state in managed memory.
// expect cuda: rejected, compile_error
// expect simt: rejected
__device__ __managed__ int launches;
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) launches++;
    if (i < n && launches < 3) out[i] = x[i] + y[i];
}
