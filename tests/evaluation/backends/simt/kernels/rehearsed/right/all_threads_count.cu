// sizes: 1 16777216
// launch k<<<ceil_div(cols, 256), 256>>>(x, out)
extern "C" __global__ void k(const float* x, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int n = __syncthreads_count(i >= 0);
    __shared__ float s[4];
    s[n / 100] = x[i];
    out[i] = s[2];
}
