// E4: a template that never ends.
// expect cuda: compile_error
// expect simt: compile_error
template <int N> struct Bomb { static constexpr int value = Bomb<N + 1>::value + Bomb<N + 2>::value; };
// launch k<<<ceil_div(n, 256), 256>>>(x, y, out, n)
extern "C" __global__ void k(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = Bomb<0>::value;
}
