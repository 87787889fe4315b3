// Too many threads.
// expect cuda: launch_error
// reason: 128 threads
// launch k<<<1, 1024>>>(x, out)
extern "C" __global__ void __launch_bounds__(128) k(const float* x, float* out) {}
