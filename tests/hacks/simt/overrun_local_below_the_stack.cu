// hack: keeps a value below the stack pointer, where no variable is
// expect: fault
// reason: outside the local variables
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float here = 0.0f;
    float* p = &here - 4096;
    *p = 2.0f * a[i];
    o[i] = *p + here;
}
