// a tree whose last steps are within a warp
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
        s[t] += s[t + 32];
        __syncwarp();
        for (int h = 16; h > 0; h >>= 1) {
            if (t < h) s[t] += s[t + h];
            __syncwarp();
        }
        if (t == 0) out[row] = s[0];
    }
}
