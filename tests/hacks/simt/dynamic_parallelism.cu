// hack: launches a kernel itself
// expect: rejected
// reason: launch lines only
extern "C" __global__ void other() {}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    other<<<1, 1>>>();
}
