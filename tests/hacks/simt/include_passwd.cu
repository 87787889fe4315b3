// hack: includes a file of the host
// expect: rejected
// reason: /etc/passwd
#include "/etc/passwd"
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
