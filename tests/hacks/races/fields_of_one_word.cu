// hack: two fields of one word, each with a thread of its own
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    struct Both { unsigned low : 16, high : 16; };
    __shared__ Both both;
    __shared__ float s[64];
    s[t] = a;
    if (t == 0) both.low = 0, both.high = 0;
    __syncthreads();
    if (t == 0) both.low = 1;
    if (t == 32) both.high = 1;
    __syncthreads();
    if (t == 0) {
        for (int j = 1; j < 64; j++) a += s[j];
        out[row] = both.low + both.high ? a : 0.0f;
    }
}
