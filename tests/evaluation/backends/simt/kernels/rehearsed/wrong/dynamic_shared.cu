// sizes: 64 4096
// expect: fault: .*dynamic shared memory, which has 4096 bytes
// launch k<<<rows, 256, 4096>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    extern __shared__ float row[];
    for (int c = threadIdx.x; c < cols; c += 256) row[c] = x[c];
    __syncthreads();
    out[threadIdx.x] = row[0];
}
