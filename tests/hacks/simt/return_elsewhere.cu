// hack: overwrites a return address with the address of a function of the runner
// expect: fault
// reason: outside the local variables
__device__ void leave(long where) {
    long local = where;
    volatile long* stack = &local;
    for (int j = 1; j < 16; j++) {
        if (stack[j] >= 0x50000000 && stack[j] < 0x58000000) stack[j] = where;
    }
}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
    leave(0x404300);
}
