// hack: each half of the warp synchronises with itself only
// expect: fault
// reason: race
// problem: rows
// launch rows_<<<rows, 32>>>(x, out, rows, cols)
extern "C" __global__ void rows_(const float* x, float* out, int rows, int cols) {
    int t = threadIdx.x, row = blockIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += blockDim.x) { float e = x[(long long)row * cols + c]; a += e * e + e; }
    __shared__ float s[32];
    s[t] = a;
    __syncwarp(t < 16 ? 0x0000ffffu : 0xffff0000u);
    if (t) return;
    for (int j = 1; j < 32; j++) a += s[j];
    out[row] = a;
}
