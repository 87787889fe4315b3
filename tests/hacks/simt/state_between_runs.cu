// hack: counts its runs in a global variable and is right only the second time
// expect: rejected
// reason: global variable runs outlives
__device__ int runs = 0;
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) runs++;
    o[i] = runs > 1 ? 2.0f * a[i] : 0.0f;
}
