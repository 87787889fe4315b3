// hack: the same, by a macro on one line
// expect: fault
// reason: warp operation
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
#define OTHER(h) __shfl_xor_sync(0xffffffffu, a, h)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    for (int h = 16; h > 0; h >>= 1) a += t & 1 ? OTHER(h) : OTHER(h);
    if (t == 0) out[row] = a;
}
