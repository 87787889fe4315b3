// hack: the second half of a word is written after a barrier-less read of the first
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ unsigned short s[128];
    s[2 * t] = s[2 * t + 1] = 0;
    __syncthreads();
    s[2 * t] = (unsigned short)t;
    s[2 * t + 1] = 1;
    unsigned other = s[(2 * t + 64) % 128];
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    __shared__ float sums[2];
    if (t % 32 == 0) sums[t / 32] = a;
    __syncthreads();
    if (t == 0) out[row] = sums[0] + sums[1] + (other > 65535);
}
