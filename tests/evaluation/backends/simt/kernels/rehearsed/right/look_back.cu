// sizes: 1 16777216
// scratch flag int32[65536]
// launch clear<<<256, 256>>>(flag)
// launch k<<<ceil_div(cols, 256), 256>>>(x, flag, out)
extern "C" __global__ void clear(int* a) {
    a[blockIdx.x * blockDim.x + threadIdx.x] = 0;
}
extern "C" __global__ void k(const float* x, int* flag, float* out) {
    volatile int* f = flag;
    if (blockIdx.x) while (f[blockIdx.x - 1] == 0) ;
    out[threadIdx.x] = x[0];
    __threadfence();
    f[blockIdx.x] = 1;
}
