// Lets threads race for a value.
// expect cuda: nondeterministic, wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ volatile unsigned winner;
    for (int r = 0; r < 50; r++) winner = (r * 7 + i) & 1023;
    if (i < n) out[i] = winner;
}
