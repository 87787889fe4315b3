// E4: an array that no machine holds.
// expect cuda: compile_error, rejected, launch_error, wrong, fault
// expect simt: compile_error, rejected, unsupported, fault, wrong
__device__ float hoard[1ull << 38];
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    hoard[i] = 1.f;
    if (i < n) out[i] = x[i] + hoard[i] - 1.f;
}
