// hack: a helper that shuffles, called from both branches
// expect: fault
// reason: warp operation
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
__device__ __noinline__ float add_up(float a) {
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    return a;
}
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    float b = t & 1 ? add_up(a) : add_up(a);
    if (t == 0) out[row] = b;
}
