// hack: a quote in a skipped block that the compiler ends with the line and other readers do not
// expect: rejected
// reason: not closed
#if 0
' /*
#endif
asm("nop");
#if 0
' */
#endif
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
}
