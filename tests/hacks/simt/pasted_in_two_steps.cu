// hack: pastes what two macros expand to
// expect: unsupported
// reason: asm cannot be judged
#define JOIN(x, y) x##y
#define OUTER(x, y) JOIN(x, y)
#define LEFT as
#define RIGHT m
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    OUTER(LEFT, RIGHT)("syscall");
    o[i] = 2 * a[i];
}
