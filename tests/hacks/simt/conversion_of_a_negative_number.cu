// hack: converts a negative number to an unsigned byte: 253 on x86, 0 on a GPU
// expect: fault
// reason: converted to 'unsigned char'
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i] + (float)((unsigned char)(-3.7f * a[i] / a[i]) - 253);
}
