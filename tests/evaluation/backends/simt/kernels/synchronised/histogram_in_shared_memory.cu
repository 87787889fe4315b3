// counts in shared memory, then added to the whole
// problem: counts
// launch zero<<<1, 16>>>(out)
// launch count<<<3, 64>>>(x, out, n)
extern "C" __global__ void zero(int* out) { out[threadIdx.x] = 0; }
extern "C" __global__ void count(const int* x, int* out, int n) {
    __shared__ int own[16];
    if (threadIdx.x < 16) own[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * 64 + threadIdx.x; i < n; i += 192) atomicAdd(&own[x[i]], 1);
    __syncthreads();
    if (threadIdx.x < 16 && own[threadIdx.x]) atomicAdd(&out[threadIdx.x], own[threadIdx.x]);
}
