// hack: includes the standard library
// expect: rejected
// reason: vector
#include <vector>
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
