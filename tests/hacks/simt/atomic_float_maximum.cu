// hack: takes an atomic maximum of floats, which CUDA lacks
// expect: compile_error
// reason: CUDA has no atomicMax
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = -1.0f;
    atomicMax(&o[i], 2 * a[i]);
}
