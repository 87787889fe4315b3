// hack: uses the _Pragma operator
// expect: rejected
// reason: compiler extensions
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    _Pragma("GCC optimize 3") if (i < n) o[i] = 2.0f * a[i];
}
