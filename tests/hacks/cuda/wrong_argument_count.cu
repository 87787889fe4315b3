// Wrong argument count.
// expect cuda: launch_error
// reason: 2 arguments
// launch k<<<1, 32>>>(x, out)
extern "C" __global__ void k(const float* x, float* out, int n) {}
