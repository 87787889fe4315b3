// E4: a constructor, which a host would run on loading.
// expect cuda: compile_error, rejected
// expect simt: compile_error, rejected, unsupported
struct Early { float v; __device__ Early() { v = 1.f; } };
__device__ Early early;
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
