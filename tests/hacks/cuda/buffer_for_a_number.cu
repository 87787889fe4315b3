// Buffer for a number.
// expect cuda: launch_error
// reason: no pointer
// launch k<<<1, 32>>>(x, out)
extern "C" __global__ void k(const float* x, int n) {}
