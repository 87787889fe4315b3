// hack: the next tile is stored while others still read the last
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float tile[64];
    a = 0.0f;
    for (int c = 0; c < cols; c += 64) {
        tile[t] = c + t < cols ? x[(long long)row * cols + c + t] : 0.0f;
        __syncthreads();
        float e = tile[63 - t];
        a += e * e + e;
    }
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    __shared__ float sums[2];
    if (t % 32 == 0) sums[t / 32] = a;
    __syncthreads();
    if (t == 0) out[row] = sums[0] + sums[1];
}
