// hack: has a local array that no GPU thread has
// expect: unsupported
// reason: local variables
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    volatile float t[1 << 20];
    t[i] = a[i];
    o[i] = t[i] * 2;
}
