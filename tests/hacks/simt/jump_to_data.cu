// hack: jumps into its own data to run bytes of its choice
// expect: fault
// reason: a jump to an address|invalid access|illegal|crash
__constant__ unsigned char code[16] = {0x0f, 0x05, 0xc3};
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    ((void (*)())(void*)code)();
    o[i] = a[i];
}
