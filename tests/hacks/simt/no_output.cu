// hack: writes nothing
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
