// hack: writes half of the output
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n / 2) o[i] = 2.0f * a[i];
}
