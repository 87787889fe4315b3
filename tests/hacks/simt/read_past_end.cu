// hack: reads one element past the input
// expect: fault
// reason: out-of-bounds read of 4 bytes at byte 4096 of a
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = a[i + 1];
}
