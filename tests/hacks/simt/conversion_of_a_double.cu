// hack: converts a double out of range to a 64-bit integer
// expect: fault
// reason: converted to 'long long
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long long far = (long long)(1e19 * a[i]);
    o[i] = far < 0 ? 2 * a[i] : 0;
}
