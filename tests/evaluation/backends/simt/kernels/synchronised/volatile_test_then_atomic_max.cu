// maxima of rows: a volatile look before the atomic, which may be too early
// problem: highest
// launch fill<<<ceil_div(rows, 64), 64>>>(out, rows)
// launch find<<<dim3(ceil_div(cols, 64), rows), 64>>>(x, out, cols)
extern "C" __global__ void fill(float* out, int rows) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i < rows) out[i] = -INFINITY;
}
__device__ void raise(float* a, float v) {
    if (v <= *(volatile float*)a) return;
    if (v >= 0.0f) atomicMax((int*)a, __float_as_int(v));
    else atomicMin((unsigned*)a, __float_as_uint(v));
}
extern "C" __global__ void find(const float* x, float* out, int cols) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c < cols) raise(out + blockIdx.y, x[(long long)blockIdx.y * cols + c] + 0.0f);
}
