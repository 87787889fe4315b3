// launch k<<<rows, 256>>>(x, out, cols)
extern "C" __global__ void k(const float* x, long long* out, int cols) {
    __shared__ float v[256]; __shared__ int at[256];
    const float* r = x + (size_t)blockIdx.x * cols; float best = -INFINITY; int where = 0x7fffffff;
    for (int i = threadIdx.x; i < cols; i += 256) if (r[i] > best) { best = r[i]; where = i; }
    v[threadIdx.x] = best; at[threadIdx.x] = where; __syncthreads();
    for (int s = 128; s; s >>= 1) { if (threadIdx.x < s) { float o = v[threadIdx.x + s]; int oi = at[threadIdx.x + s];
        if (o > v[threadIdx.x] || (o == v[threadIdx.x] && oi < at[threadIdx.x])) { v[threadIdx.x] = o; at[threadIdx.x] = oi; } } __syncthreads(); }
    if (threadIdx.x == 0) out[blockIdx.x] = at[0];
}
