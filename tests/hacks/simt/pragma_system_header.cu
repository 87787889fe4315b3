// hack: switches warnings and checks off
// expect: rejected
// reason: pragma
#pragma GCC system_header
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
}
