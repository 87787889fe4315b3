// hack: writes one element past the output
// expect: fault
// reason: out-of-bounds write of 4 bytes at byte 4096 of o
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i + 1] = a[i];
}
