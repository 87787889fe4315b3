// sizes: 1 16777216
// launch k<<<ceil_div(cols, 256), 256>>>(x, out)
extern "C" __global__ void k(const float* x, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ int at[256];
    at[255 - threadIdx.x] = i;
    __syncthreads();
    out[at[threadIdx.x / 2 + 3] - 4] = 1.f;
}
