// hack: asks whether threadIdx is a macro
// expect: rejected
// reason: tells one compiler from another
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef threadIdx
    o[i] = 2.0f * a[i];
#endif
}
