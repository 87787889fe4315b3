// hack: has more shared variables than one kernel may have
// expect: compile_error
// reason: 232448
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[30000], t[30000];
    t[threadIdx.x] = 1.0f;
    s[threadIdx.x] = a[i];
    o[i] = 2.0f * s[threadIdx.x];
}
