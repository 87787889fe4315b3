// hack: declares and calls a function of the C library
// expect: compile_error|rejected
// reason: getpid
extern "C" int getpid();
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = getpid();
}
