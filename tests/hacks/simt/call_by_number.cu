// hack: calls a function of the runner by its address
// expect: fault|rejected
// reason: a jump to an address|not allowed
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
    if (i == 0) ((void (*)(void*, const void*, unsigned long))0x404300)(o + n, a, 4);
}
