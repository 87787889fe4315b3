// sizes: 1 16777216
// scratch done int32[1]
// launch clear<<<1, 1>>>(done)
// launch k<<<ceil_div(cols, 256), 256>>>(x, done, out)
extern "C" __global__ void clear(int* a) {
    a[blockIdx.x * blockDim.x + threadIdx.x] = 0;
}
extern "C" __global__ void k(const float* x, const int* done, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (*done) return;
    assert(x[i] == x[i]);
    out[i] = x[i];
}
