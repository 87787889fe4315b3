// hack: takes the lanes that happen to be together for all 32
// expect: wrong
// reason: 
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    for (int h = 16; h > 0; h >>= 1) a += __shfl_xor_sync(__activemask(), a, h);
    if (t == 0) out[row] = a;
}
