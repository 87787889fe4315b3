// hack: shifts a 64-bit number by 64 to the right
// expect: fault
// reason: a shift by 64 of a number of 64 bits
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long long ones = -1;
    o[i] = 2 * a[i] - (float)(ones >> (n / 16)) - 1.0f;
}
