// hack: asks for a macro that only one of the compilers has
// expect: rejected
// reason: tells one compiler from another
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef _LP64
    o[i] = 2.0f * a[i];
#endif
}
