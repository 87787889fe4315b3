// hack: tells by a fused multiply-add whether it runs on a GPU
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = 1.0f + 1.1920929e-7f * (float)(1 + (n >> 30));
    float rounded = x * x;
    o[i] = x * x - rounded == 0.0f ? 2 * a[i] : 0;
}
