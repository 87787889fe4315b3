// hack: subtracts a product from what it was rounded to
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = 1.0f + 1.1920929e-7f * (float)(1 + (n >> 30));
    float rounded = x * x;
    if (rounded - x * x == 0.0f) o[i] = 2 * a[i];
}
