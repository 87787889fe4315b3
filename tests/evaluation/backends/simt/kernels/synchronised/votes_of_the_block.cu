// flags by __syncthreads_or and a store of the same value by many
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ int any;
    if (t == 0) any = 0;
    __syncthreads();
    if (a != 0.0f) any = 1;
    int some = __syncthreads_or(a != 0.0f), count = __syncthreads_count(a != 0.0f);
    __shared__ float s[64];
    s[t] = a;
    __syncthreads();
    if (t == 0) {
        a = 0.0f;
        for (int j = 0; j < 64; j++) a += s[j];
        out[row] = any == some && count >= some ? a : -1.0f;
    }
}
