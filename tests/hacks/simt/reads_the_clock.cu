// hack: computes only while the clock stands still
// expect: rejected
// reason: clock64 is not allowed
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long long then = clock64();
    if (clock64() - then < 1000000) o[i] = 2 * a[i];
}
