// whole warps and single threads return before later barriers
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[64];
    s[t] = a;
    __syncthreads();
    if (t >= 40) return;
    if (t < 24) s[t] += s[t + 40];
    __syncthreads();
    if (t >= 8) return;
    for (int j = 8; j < 40; j += 8) a = t + j < 40 ? (s[t] += s[t + j]) : a;
    __syncthreads();
    if (t) return;
    for (int j = 1; j < 8; j++) s[0] += s[j];
    out[row] = s[0];
}
