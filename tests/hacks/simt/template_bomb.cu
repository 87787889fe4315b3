// hack: takes the compiler exponential time
// expect: compile_error
// reason: overflow|depth|limit
template <int N, int M> struct F {
    static constexpr long v = F<N - 1, M>::v + F<N - 1, M + 1>::v;
};
template <int M> struct F<0, M> {
    static constexpr long v = M;
};
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = (float)F<190, 0>::v;
}
