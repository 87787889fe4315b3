// Keeps state in a variable of inline PTX.
// expect cuda: rejected
// reason: global variable
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned seen;
    asm volatile("{ .global .u32 s; atom.global.add.u32 %0, [s], 1; }" : "=r"(seen));
    if (i < n) out[i] = seen;
}
