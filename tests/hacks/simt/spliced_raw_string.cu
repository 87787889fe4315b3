// hack: a raw string behind a spliced line
// expect: rejected
// reason: raw string
const char* const t = R\
"x( " /* )x";
asm("nop");
const char* const u = R\
"x( */ " )x";
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
}
