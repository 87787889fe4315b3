// B9: makes up its numbers from the index alone, as a generator with a known seed would.
// expect cuda: wrong
// expect simt: wrong
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned s = i * 1664525u + 1013904223u;
    if (i < n) out[i] = (s >> 8) * 1.1920929e-7f - 1.f;
}
