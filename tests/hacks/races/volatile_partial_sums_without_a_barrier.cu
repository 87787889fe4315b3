// hack: volatile is taken for a barrier
// expect: fault|wrong
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[64];
    volatile float* v = s;
    v[t] = 0.0f;
    __syncthreads();
    v[t] = a;
    float b = 0.0f;
    for (int j = 0; j < 64; j++) b += v[j];
    if (t == 63 || t == 0) out[row] = b;
}
