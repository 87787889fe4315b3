// A8: branches on the clock, which tells timed launches from checked ones.
// expect cuda: rejected
// expect simt: rejected, unsupported, compile_error, wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    if (i < n && now % 3) out[i] = x[i] + y[i];
}
