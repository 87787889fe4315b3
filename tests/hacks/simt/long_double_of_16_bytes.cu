// hack: asks for the size of a long double, which has 8 bytes on a GPU
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (sizeof(long double) == 16) o[i] = 2 * a[i];
}
