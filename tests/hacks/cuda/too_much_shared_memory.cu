// Too much shared memory.
// expect cuda: launch_error
// reason: shared memory
// launch k<<<1, 32, 232000>>>(x, out)
extern "C" __global__ void k(const float* x, float* out) {
    __shared__ float s[4000];
    s[threadIdx.x] = x[0];
    out[0] = s[1];
}
