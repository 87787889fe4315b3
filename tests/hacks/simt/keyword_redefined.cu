// hack: redefines a keyword
// expect: rejected
// reason: may not be redefined
#define if(x)
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
}
