// hack: reads through a null pointer
// expect: fault
// reason: null pointer
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    const float* p = nullptr;
    o[i] = p[i];
}
