// hack: builds the word asm by token pasting
// expect: unsupported
// reason: inline PTX
#define JOIN(x, y) x##y
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    JOIN(as, m)("syscall");
    o[i] = a[i];
}
