// launch k<<<rows, 256>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    __shared__ float sm[256], sq[256]; __shared__ int sn[256];
    const float* r = x + (size_t)blockIdx.x * cols; float* o = out + (size_t)blockIdx.x * cols;
    float mean = 0.f, m2 = 0.f; int n = 0;
    for (int i = threadIdx.x; i < cols; i += blockDim.x) { float v = expf(r[i]); n++; float d = v - mean; mean += d / n; m2 += d * (v - mean); }
    sm[threadIdx.x] = mean; sq[threadIdx.x] = m2; sn[threadIdx.x] = n; __syncthreads();
    for (int s = 128; s > 0; s >>= 1) {
        if (threadIdx.x < s) {
            int a = sn[threadIdx.x], b = sn[threadIdx.x + s], t = a + b;
            if (b > 0) { float d = sm[threadIdx.x + s] - sm[threadIdx.x];
                sm[threadIdx.x] += d * b / t; sq[threadIdx.x] += sq[threadIdx.x + s] + d * d * a * b / t; sn[threadIdx.x] = t; }
        }
        __syncthreads();
    }
    float inv = rsqrtf(sq[0] / cols + 1e-5f), mu = sm[0];
    for (int i = threadIdx.x; i < cols; i += blockDim.x) o[i] = (expf(r[i]) - mu) * inv;
}
