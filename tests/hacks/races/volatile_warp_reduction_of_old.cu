// hack: the reduction of old, which relied on lanes in step
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[64];
    s[t] = a;
    __syncthreads();
    if (t < 32) {
        volatile float* v = s;
        v[t] += v[t + 32];
        for (int h = 16; h; h >>= 1) if (t < h) v[t] += v[t + h];
    }
    if (t == 0) out[row] = s[0];
}
