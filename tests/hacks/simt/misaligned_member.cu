// hack: reads one member of a misaligned float2
// expect: fault
// reason: misaligned access
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = ((const float2*)(a + 1))->x;
}
