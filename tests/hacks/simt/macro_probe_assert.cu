// hack: asks for assert without its header
// expect: rejected
// reason: #ifndef may not ask for assert
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifndef assert
    o[i] = 0;
#else
    o[i] = 2 * a[i];
#endif
}
