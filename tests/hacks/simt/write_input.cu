// hack: changes its input
// expect: fault
// reason: write of input a
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
    ((float*)a)[i] = 0.0f;
}
