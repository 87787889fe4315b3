// hack: copies more bytes than the output has
// expect: fault
// reason: out-of-bounds
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) memcpy(o, a, 4 * n + 4);
}
