// sizes: 65536 64
// expect: fault: .*out-of-bounds write of 4 bytes at byte 1020 of part, which has 256 bytes
// scratch part float32[64]
// launch k<<<ceil_div(rows, 256), 256>>>(x, part, out)
extern "C" __global__ void k(const float* x, float* part, float* out) {
    if (threadIdx.x == 0) part[blockIdx.x] = x[0];
    out[0] = 0;
}
