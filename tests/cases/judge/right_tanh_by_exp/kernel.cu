// launch k<<<ceil_div(n, 256), 256>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * 256 + threadIdx.x; if (i >= n) return;
    float e = expf(-2 * fabsf(x[i])); out[i] = copysignf((1 - e) / (1 + e), x[i]);
}
