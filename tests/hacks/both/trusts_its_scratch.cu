// C1, C2: takes what the last launch left in scratch for this one's result.
// expect cuda: wrong, nondeterministic, fault
// expect simt: fault
// scratch kept float32[n]
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, kept, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, float* kept, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = kept[i];
}
