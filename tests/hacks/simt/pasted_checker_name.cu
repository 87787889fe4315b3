// hack: pastes a name of the checker's
// expect: rejected
// reason: simt_trap is not allowed
#define JOIN(x, y) x##y
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i];
    JOIN(si, mt_trap)("no");
}
