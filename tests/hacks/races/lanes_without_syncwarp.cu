// hack: lanes of a warp pass values through shared memory
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[32];
    s[t] = 0.0f;
    __syncwarp();
    s[t] = a;
    if (t) return;
    for (int j = 1; j < 32; j++) a += s[j];
    out[row] = a;
}
