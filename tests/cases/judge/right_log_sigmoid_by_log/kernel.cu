// launch k<<<ceil_div(n, 256), 256>>>(x, out, n)
extern "C" __global__ void k(const float* x, float* out, int n) {
    int i = blockIdx.x * 256 + threadIdx.x; if (i >= n) return;
    float a = x[i]; out[i] = fminf(a, 0.f) - logf(1 + expf(-fabsf(a)));
}
