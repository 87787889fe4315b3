// hack: a flag in shared memory and no fence
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float sum;
    __shared__ volatile int ready;
    if (t == 0) ready = 0;
    __syncthreads();
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    if (t == 32) {
        sum = a;
        ready = 1;
    }
    if (t == 0) {
        while (!ready) {}
        out[row] = a + sum;
    }
}
