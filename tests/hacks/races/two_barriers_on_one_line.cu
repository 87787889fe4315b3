// hack: the two branches wait at barriers of one line
// expect: fault
// reason: divergent barrier
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[64];
    s[t] = a;
    if (t < 32) { __syncthreads(); } else { __syncthreads(); }
    if (t) return;
    for (int j = 1; j < 64; j++) a += s[j];
    out[row] = a;
}
