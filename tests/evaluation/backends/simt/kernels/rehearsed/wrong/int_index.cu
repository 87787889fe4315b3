// sizes: 65536 65536
// expect: fault: .*out-of-bounds read of 4 bytes at byte -
// launch k<<<dim3(ceil_div(cols, 256), min(rows, 65535)), 256>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int r = blockIdx.y; r < rows; r += gridDim.y) {
        int a = r * cols + i;
        out[a] = x[a];
    }
}
