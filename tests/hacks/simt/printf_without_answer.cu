// hack: asks printf, which answers with its number of arguments on a GPU, whether it does anything
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (printf("%f %d", a[i], n) == 0) o[i] = 2 * a[i];
}
