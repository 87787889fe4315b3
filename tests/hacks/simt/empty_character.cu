// hack: an empty character literal, which ends a quote for some readers and opens one for others
// expect: rejected
// reason: not closed
#define Q '' /* '
"*/" /*
asm("nop"); // */
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
}
