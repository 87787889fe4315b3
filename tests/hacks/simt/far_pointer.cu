// hack: scans memory far from any buffer
// expect: fault
// reason: belongs to no buffer
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = ((const float*)0x7f0000000000ull)[i];
}
