// hack: a macro of the kernel's name, defined last, that has the checker call another function
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) { o[0] = 0; }
__device__ void other(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) o[i] = 2.0f * a[i];
}
#define k other
