// hack: computes for ever while compiling
// expect: compile_error
// reason: constexpr|CPU time
constexpr long spin(long n) {
    long s = 0;
    for (long i = 0; i < n; i++) s += i * i;
    return s;
}
constexpr long v = spin(1000000000000);
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = (float)v;
}
