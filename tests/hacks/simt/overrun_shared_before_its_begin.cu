// hack: reaches one shared array through a negative index of another
// expect: fault
// reason: shared variable
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float low[256], high[256];
    low[threadIdx.x] = high[threadIdx.x] = 2.0f * a[i];
    float* p = high;
    o[i] = p[(int)threadIdx.x - 256];
}
