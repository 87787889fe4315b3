// hack: hides assembly behind a line splice
// expect: unsupported
// reason: inline PTX
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    a\
sm volatile("syscall");
    o[i] = a[i];
}
