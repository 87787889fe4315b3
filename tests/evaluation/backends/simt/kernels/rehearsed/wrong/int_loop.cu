// sizes: 65536 65536
// expect: fault: .*out-of-bounds
// launch k<<<65535, 256>>>(x, out, rows * cols)
extern "C" __global__ void k(const float* x, float* out, long long n) {
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) out[i] = x[i];
}
