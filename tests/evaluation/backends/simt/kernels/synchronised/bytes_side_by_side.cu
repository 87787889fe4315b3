// threads own neighbouring bytes and halves of words
// problem: rows
// launch rows_<<<rows, 64>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ unsigned char low[64];
    __shared__ unsigned short high[64];
    float whole = floorf(a), rest = a - whole;
    unsigned bits = __float_as_uint(a);
    low[t] = bits & 255;
    high[t] = bits >> 16;
    unsigned char own = low[t];
    low[t] = own;
    __syncthreads();
    __shared__ unsigned char middle[64];
    middle[t] = bits >> 8 & 255;
    __syncthreads();
    if (t == 0) {
        a = 0.0f;
        for (int j = 0; j < 64; j++) a += __uint_as_float((unsigned)high[j] << 16 | (unsigned)middle[j] << 8 | low[j]);
        out[row] = rest >= 0.0f ? a : 0.0f;
    }
}
