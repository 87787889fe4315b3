// Too many threads.
// expect cuda: launch_error
// reason: of 128
// launch k<<<1, 1024>>>(x, out)
extern "C" __global__ void __launch_bounds__(128) k(const float* x, float* out) {}
