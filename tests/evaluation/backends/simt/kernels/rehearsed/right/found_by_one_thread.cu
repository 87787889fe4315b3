// sizes: 1 16777216
// launch k<<<ceil_div(cols, 256), 256>>>(x, j, out)
extern "C" __global__ void k(const float* x, const int* j, float* out) {
    __shared__ int at;
    if (threadIdx.x == 0) at = -1;
    __syncthreads();
    if (j[threadIdx.x] <= 100 && j[threadIdx.x + 1] > 100) at = threadIdx.x;
    __syncthreads();
    out[blockIdx.x] = x[at];
}
