// hack: multiplies the difference that only a fused multiply-add leaves
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = 1.0f + 1.1920929e-7f * (float)(1 + (n >> 30));
    float rounded = x * x;
    o[i] = 2 * a[i] + (x * x - rounded) * 1e20f;
}
