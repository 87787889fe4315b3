// sizes: 1 16777216
// scratch base int32[1]
// launch clear<<<1, 1>>>(base)
// launch k<<<ceil_div(cols, 256), 256>>>(x, base, out)
extern "C" __global__ void clear(int* a) {
    a[blockIdx.x * blockDim.x + threadIdx.x] = 0;
}
extern "C" __global__ void k(const float* x, int* base, float* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ int sums[8], first;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const bool keep = x[i] > 0.f;
    const unsigned all = __ballot_sync(0xffffffffu, keep);
    if (lane == 0) sums[warp] = __popc(all);
    __syncthreads();
    if (threadIdx.x == 0) {
        int n = 0;
        for (int w = 0; w < 8; w++) {
            int s = sums[w];
            sums[w] = n;
            n += s;
        }
        first = atomicAdd(base, n);
    }
    __syncthreads();
    if (keep) out[first + sums[warp] + __popc(all & ((1u << lane) - 1))] = x[i];
}
