// hack: adds to a large local array that only the first thread initialises, each thread on a stack of its own
// expect: wrong|fault
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 0) {
        o[i] = 2.0f * a[i];
        return;
    }
    float sums[3000];
    sums[i % 3000] += 2.0f * a[i];
    o[i] = sums[i % 3000];
}
