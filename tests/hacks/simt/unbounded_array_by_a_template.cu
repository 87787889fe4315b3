// hack: reads any address through an array without an end in a constant, which no check sees
// expect: rejected|compile_error
// reason: no bounds|no elements
template <int N> struct Window { int n; float at[N - 1]; };
static const Window<1> window = {1};
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long long from = ((long long)a - (long long)&window - 4) / 4;
    o[i] = 2.0f * window.at[from + i];
}
