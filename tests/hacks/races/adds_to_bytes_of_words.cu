// hack: threads own bytes of one word, and a byte beside them hides who read which
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ unsigned char s[8];
    if (t < 8) s[t] = 0;
    __syncthreads();
    unsigned bits = __float_as_uint(a);
    for (int h = 16; h; h >>= 1) a += __shfl_xor_sync(0xffffffffu, a, h);
    s[t / 32 * 4] = bits & 1;
    s[t / 32 * 4 + 1] = 0;
    unsigned other = s[4 - t / 32 * 4];
    other |= s[4 - t / 32 * 4 + 2] >> 8;
    if (t == 0) out[row] = a + (other > 255);
}
