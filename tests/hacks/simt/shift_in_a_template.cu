// hack: shifts by the width in a template
// expect: fault
// reason: a shift by 32
template <class T> __device__ T shifted(T x, int count) { return x << count; }
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i] * shifted<unsigned>(1u, n / 32);
}
