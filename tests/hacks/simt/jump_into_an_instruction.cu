// hack: calls into the middle of its own code, where a constant is other instructions
// expect: fault
// reason: a jump to an address that is no function
__device__ __noinline__ unsigned gadget() { volatile unsigned v = 0xc3c031u; return v; }  // xor eax, eax; ret
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int got = ((int (*)())((char*)(void*)&gadget + 29))();
    o[i] = got == 0 ? 2.0f * a[i] : 0.0f;
}
