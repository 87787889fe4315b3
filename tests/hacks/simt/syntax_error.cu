// hack: does not compile
// expect: compile_error
// reason: line 7: .*nothing
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int x = 0;
    nothing(x);
}
