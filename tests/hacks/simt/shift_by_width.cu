// hack: shifts by the width of a number: 1 on x86, 0 on a GPU
// expect: fault
// reason: a shift by 32 of a number of 32 bits on line 7
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned width = blockDim.x / 8;
    o[i] = 2 * a[i] * (float)(1u << width);
}
