// hack: hides a system call in a constant and jumps to it
// expect: fault|cheated
// reason: belongs to no buffer|no function
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    volatile unsigned v = 0x90c3050f;
    for (unsigned char* p = (unsigned char*)&k; p < (unsigned char*)&k + 400; p++)
        if (*(unsigned*)p == v) ((void (*)())p)();
    o[i] = a[i];
}
