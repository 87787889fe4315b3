// A8, A9, C1: counts its launches, to work in the check and rest under the clock.
// expect cuda: rejected
// expect simt: rejected
__device__ int launches;
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) atomicAdd(&launches, 1);
    if (i < n && launches < 3) out[i] = x[i] + y[i];
}
