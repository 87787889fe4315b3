// hack: has an assertion that fails
// expect: fault
// reason: assert\(n < 0\) failed
#include <assert.h>
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    assert(n < 0);
    o[i] = 2.0f * a[i];
}
