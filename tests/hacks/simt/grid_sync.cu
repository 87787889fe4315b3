// hack: waits for the whole grid
// expect: unsupported
// reason: grid
#include <cooperative_groups.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    cooperative_groups::this_grid().sync();
    o[i] = 2.0f * a[i];
}
