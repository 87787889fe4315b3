// sizes: 64 4096
// expect: fault: index 1[0-9]{3} is outside its array|fault: .*index
// launch k<<<rows, 256>>>(x, out, cols)
extern "C" __global__ void k(const float* x, float* out, int cols) {
    __shared__ float row[1024];
    for (int c = threadIdx.x; c < cols; c += 256) row[c] = x[c];
    __syncthreads();
    out[threadIdx.x] = row[0];
}
