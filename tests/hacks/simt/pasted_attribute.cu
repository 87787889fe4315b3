// hack: pastes an attribute that runs code before the kernel
// expect: rejected
// reason: __attribute__ is not allowed
#define JOIN(x, y) x##y
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i];
}
JOIN(__attri, bute__)((constructor)) void early() {}
