// hack: shuffles from lanes that do not take part, and takes the maximum
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float value = 2.0f * a[i];
    if (threadIdx.x % 32 < 16) value = fmaxf(value, __shfl_down_sync(0x0000ffff, value, 16));
    o[i] = value;
}
