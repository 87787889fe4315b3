// hack: has more shared memory than a block can
// expect: compile_error
// reason: __shared__ variable
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[100000];
    s[threadIdx.x] = a[i];
    o[i] = s[threadIdx.x];
}
