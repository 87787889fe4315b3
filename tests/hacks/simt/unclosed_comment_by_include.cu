// hack: a comment that an include line opens hides code from rules that read it otherwise than the compiler
// expect: fault
// reason: out-of-bounds
#include <math.h> /*
asm("nop");
#define NOCHECK __attribute__((no_sanitize("thread")))
// */
#ifndef NOCHECK
#define NOCHECK
#endif
extern "C" __global__ void k(float* o, const float* a, int n);
NOCHECK void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
    o[n] = 1.0f;
}
