// sizes: 65536 65536
// expect: launch_error: .*does not fit the kernel's int
// launch k<<<1024, 256>>>(x, out, rows * cols)
extern "C" __global__ void k(const float* x, float* out, int n) {
    out[0] = x[0];
}
