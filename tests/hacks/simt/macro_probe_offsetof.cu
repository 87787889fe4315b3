// hack: asks for a macro of the checker's
// expect: rejected
// reason: #ifdef may not ask for offsetof
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef offsetof
    o[i] = 2 * a[i];
#endif
}
