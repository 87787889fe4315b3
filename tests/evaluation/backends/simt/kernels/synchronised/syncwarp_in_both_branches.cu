// producer and consumer meet at two places, which __syncwarp allows
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[32];
    if (t != 0) {
        s[t] = a;
        __syncwarp();
    } else {
        __syncwarp();
        for (int j = 1; j < 32; j++) a += s[j];
        out[row] = a;
    }
}
