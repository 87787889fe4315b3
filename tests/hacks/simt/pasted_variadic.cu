// hack: pastes the variable arguments of a macro
// expect: rejected
// reason: throw is not allowed
#define JOIN(x, y) x##y
#define PASTE(x, ...) x##__VA_ARGS__
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    PASTE(th, row) 1;
    o[i] = 2 * a[i];
}
