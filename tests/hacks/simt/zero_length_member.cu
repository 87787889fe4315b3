// hack: reads past an array of no elements, which no check sees
// expect: rejected
// reason: array of no elements
struct Window { int n; float at[0]; };
static const Window window = {1};
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i] + 0 * window.at[i];
}
