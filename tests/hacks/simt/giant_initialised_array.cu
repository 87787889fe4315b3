// hack: fills the disk with an object file
// expect: compile_error
// reason: was ended|gave up
__device__ int big[1 << 29] = {1};
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = big[i];
}
