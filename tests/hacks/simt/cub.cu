// hack: uses a library of block algorithms
// expect: unsupported
// reason: cub
#include <cub/cub.cuh>
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
}
