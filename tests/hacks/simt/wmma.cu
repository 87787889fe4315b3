// hack: uses tensor cores
// expect: unsupported
// reason: mma
#include <mma.h>
using namespace nvcuda;
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
}
