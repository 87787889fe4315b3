// hack: never ends and touches nothing
// expect: timeout
// reason: empty endless loop
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    while (true) {
    }
}
