// hack: allocates on the device heap
// expect: rejected
// reason: device heap
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float* p = (float*)malloc(4);
    o[i] = *p;
}
