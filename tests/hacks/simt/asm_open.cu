// hack: opens a file in assembly
// expect: unsupported
// reason: inline PTX
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(2), "D"("/etc/passwd"), "S"(0));
    o[i] = (float)r;
}
