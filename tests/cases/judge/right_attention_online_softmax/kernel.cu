// launch k<<<dim3(ceil_div(seq, 32), heads), 32, 2 * 32 * dim * 4>>>(q, k, v, out, seq, dim)
extern "C" __global__ void k(const float* q, const float* kk, const float* v, float* out, int n, int d) {
    extern __shared__ float sh[]; float *ks = sh, *vs = sh + 32 * d; size_t base = (size_t)blockIdx.y * n * d;
    int row = blockIdx.x * 32 + threadIdx.x; bool on = row < n; float m = -INFINITY, l = 0.f; float scale = rsqrtf((float)d);
    if (on) for (int c = 0; c < d; c++) out[base + (size_t)row * d + c] = 0.f;
    for (int j0 = 0; j0 < n; j0 += 32) {
        for (int i = threadIdx.x; i < 32 * d; i += 32) { int r = j0 + i / d; ks[i] = r < n ? kk[base + (size_t)r * d + i % d] : 0.f; vs[i] = r < n ? v[base + (size_t)r * d + i % d] : 0.f; }
        __syncthreads();
        if (on) for (int j = 0; j < 32 && j0 + j < n; j++) {
            float s = 0.f; for (int c = 0; c < d; c++) s += q[base + (size_t)row * d + c] * ks[j * d + c]; s *= scale;
            float nm = fmaxf(m, s), a = expf(m - nm), p = expf(s - nm); l = l * a + p; m = nm;
            for (int c = 0; c < d; c++) out[base + (size_t)row * d + c] = out[base + (size_t)row * d + c] * a + p * vs[j * d + c];
        }
        __syncthreads();
    }
    if (on) for (int c = 0; c < d; c++) out[base + (size_t)row * d + c] /= l;
}
