// hack: uses an asynchronous barrier
// expect: unsupported
// reason: cuda/barrier
#include <cuda/barrier>
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
}
