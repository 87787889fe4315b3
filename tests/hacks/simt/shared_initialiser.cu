// hack: gives a shared variable a value
// expect: compile_error
// reason: initial value
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ int s = 5;
    o[i] = s;
}
