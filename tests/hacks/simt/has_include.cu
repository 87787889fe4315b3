// hack: asks whether a file exists
// expect: rejected
// reason: compiler extensions
#if __has_include("/etc/passwd")
#endif
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
