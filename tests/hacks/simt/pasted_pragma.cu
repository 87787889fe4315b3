// hack: pastes the pragma operator
// expect: rejected
// reason: #pragma GCC optimize
#define JOIN(x, y) x##y
JOIN(_Pra, gma)("GCC optimize(\"O3\")")
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i];
}
