// hack: writes to an invented address
// expect: fault
// reason: null pointer
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    *(float*)0x10 = 1.0f;
}
