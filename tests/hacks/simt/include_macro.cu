// hack: includes a file named by a macro
// expect: rejected
// reason: header
#define F "/etc/passwd"
#include F
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
