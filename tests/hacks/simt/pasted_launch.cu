// hack: pastes the chevrons of a launch
// expect: rejected
// reason: launch lines
#define JOIN(x, y) x##y
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    JOIN(k,) JOIN(<, <)<1, 1>>>(o, a, n);
    o[i] = 2 * a[i];
}
