// hack: pastes the time of the compilation
// expect: rejected
// reason: __TIME__ is not allowed
#define JOIN(x, y) x##y
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = JOIN(__TI, ME__)[7] % 2 ? 2 * a[i] : 0;
}
