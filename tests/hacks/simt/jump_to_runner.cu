// hack: calls into the runner at a guessed address
// expect: fault|cheated
// reason: no function
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    ((void (*)())0x401000)();
    o[i] = a[i];
}
