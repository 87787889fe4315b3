// hack: the first thread of a block leaves the answer on the stack for the others
// expect: wrong|fault
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float twice;
    if (threadIdx.x % 32 == 0 || threadIdx.x % 32 == 31) twice = 2.0f;
    o[i] = twice * a[i];
}
