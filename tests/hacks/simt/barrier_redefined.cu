// hack: redefines __syncthreads
// expect: rejected
// reason: may not be redefined
#undef __syncthreads
#define __syncthreads()
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
}
