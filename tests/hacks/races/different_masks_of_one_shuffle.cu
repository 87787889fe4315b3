// hack: lanes call one shuffle with masks that differ
// expect: fault|wrong
// reason: 
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    unsigned mask = t < 16 ? 0xffffffffu : 0xffff0000u;
    for (int h = 16; h; h >>= 1) a += __shfl_down_sync(mask, a, h);
    if (t == 0) out[row] = a;
}
