// E4: has the assembler read a file of the host.
// expect cuda: compile_error, rejected
// expect simt: unsupported
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    asm(".incbin \"/etc/passwd\"");
    if (i < n) out[i] = x[i] + y[i];
}
