// sizes: 1 16777216
// scratch left int32[1]
// launch clear<<<1, 1>>>(left)
// launch add<<<ceil_div(cols, 256), 256>>>(left)
// launch k<<<ceil_div(cols, 256), 256>>>(left, out)
extern "C" __global__ void clear(int* a) {
    a[blockIdx.x * blockDim.x + threadIdx.x] = 0;
}
extern "C" __global__ void add(int* left) {
    atomicAdd(left, 1);
}
extern "C" __global__ void k(int* left, float* out) {
    out[1000 * atomicSub(left, 1) - 1000] = 1.f;
}
