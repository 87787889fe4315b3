// sizes: 1 16777216
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch k<<<ceil_div(cols, 256), 256>>>(x, ticket, out)
extern "C" __global__ void clear(int* a) {
    a[blockIdx.x * blockDim.x + threadIdx.x] = 0;
}
extern "C" __global__ void k(const float* x, int* ticket, float* out) {
    __shared__ int last;
    if (threadIdx.x == 0){
        __threadfence();
        last = atomicAdd(ticket, 1);
    }
    __syncthreads();
    if (last == gridDim.x - 1) out[threadIdx.x] = x[0];
}
