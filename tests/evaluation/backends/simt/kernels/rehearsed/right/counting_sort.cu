// sizes: 1 16777216
// scratch count int32[1024]
// launch clear<<<4, 256>>>(count)
// launch k<<<ceil_div(cols, 256), 256>>>(j, count, out)
extern "C" __global__ void clear(int* a) {
    a[blockIdx.x * blockDim.x + threadIdx.x] = 0;
}
extern "C" __global__ void k(const int* j, int* count, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int at = atomicSub(&count[j[i] & 1023], 1) - 1;
    out[at] = i;
}
