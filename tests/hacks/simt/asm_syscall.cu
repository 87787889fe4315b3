// hack: makes a system call in assembly
// expect: unsupported
// reason: inline PTX
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long r;
    asm volatile("syscall" : "=a"(r) : "a"(39));
    o[i] = (float)r;
}
