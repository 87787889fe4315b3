// scratch part float32[rows, 64]
// launch k<<<rows, 64>>>(x, part, part, out, cols)
extern "C" __global__ void k(const float* __restrict__ x, float* part, const float4* __restrict__ again, float* __restrict__ out, int cols) {
    int t = threadIdx.x;
    float a = 0.0f;
    for (int c = t; c < cols; c += 64) { float e = x[(long long)blockIdx.x * cols + c]; a += e * e + e; }
    part[blockIdx.x * 64 + t] = a;
    __syncthreads();
    if (t == 0) { float b = 0.0f; for (int j = 0; j < 16; j++) { float4 q = again[blockIdx.x * 16 + j]; b += q.x + q.y + q.z + q.w; } out[blockIdx.x] = b; }
}
