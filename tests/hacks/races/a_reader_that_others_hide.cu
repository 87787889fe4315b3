// hack: a word is overwritten while a reader of another warp may still need it; the writer read it last
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[64], first;
    s[t] = a;
    if (t == 0) first = 0.0f;
    __syncthreads();
    float f = first;
    if (t == 63) first = f + 1.0f;
    __syncthreads();
    if (t == 0) {
        for (int j = 1; j < 64; j++) a += s[j];
        out[row] = a + f;
    }
}
