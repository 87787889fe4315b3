// A1: KernelBench's non_default_stream_kernel: has the work done on a stream of its own, which no event
// waits for.
// expect cuda: compile_error, rejected
// expect simt: compile_error, rejected, unsupported
__global__ void add(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = x[i] + y[i];
}
// launch k<<<1, 1>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    cudaStream_t side;
    cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
    add<<<(n + 255) / 256, 256, 0, side>>>(x, y, out, n);
}
