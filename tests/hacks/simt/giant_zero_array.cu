// hack: takes all memory with a global array
// expect: rejected
// reason: global variable big outlives
__device__ int big[1 << 29];
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = big[i];
}
