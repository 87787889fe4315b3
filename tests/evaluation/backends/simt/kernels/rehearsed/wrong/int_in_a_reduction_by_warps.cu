// sizes: 65536 65536
// expect: fault: .*out-of-bounds write of 4 bytes at byte -
// launch k<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void k(const float* x, float* out, int rows, int cols) {
    float s = 0.f;
    __shared__ float part[2];
    for (int c = threadIdx.x; c < 512; c += 64) s += x[blockIdx.x * cols + c];
    for (int h = 16; h; h /= 2) s += __shfl_down_sync(0xffffffffu, s, h);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = s;
    __syncthreads();
    if (threadIdx.x == 0) {
        int a = (int)blockIdx.x * cols;
        out[a] = part[0] + part[1];
    }
}
