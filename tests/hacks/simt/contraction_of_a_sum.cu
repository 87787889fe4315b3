// hack: compares a sum of products with its parts rounded
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = 1.0f + 1.1920929e-7f * (float)(3 + (n >> 30));
    float parts = __fadd_rn(__fmul_rn(x, x), -1.0f);
    o[i] = x * x + -1.0f == parts ? 2 * a[i] : 0;
}
