// hack: runs code before the kernel
// expect: rejected
// reason: compiler extensions
__attribute__((constructor)) void c() {}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = a[i];
}
