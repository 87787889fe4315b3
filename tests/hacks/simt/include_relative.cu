// hack: includes a file by a relative path
// expect: rejected
// reason: header
#include "../../../../etc/passwd"
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
