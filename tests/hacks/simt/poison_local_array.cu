// hack: adds to a large local array that it never initialises
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float sums[4000];
    __syncthreads();
    sums[i % 4000] += 2.0f * a[i];
    o[i] = sums[i % 4000];
}
