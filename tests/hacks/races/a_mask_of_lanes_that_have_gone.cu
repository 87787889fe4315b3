// hack: the shuffle reads lanes that have returned
// expect: wrong
// reason: 
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    if (t >= 16) return;
    a += __shfl_down_sync(0xffffffffu, a, 16);
    for (int h = 8; h; h >>= 1) a += __shfl_down_sync(0xffffffffu, a, h);
    if (t == 0) out[row] = a;
}
