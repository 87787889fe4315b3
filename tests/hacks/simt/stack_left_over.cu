// hack: hopes that an earlier run left the answer on the stack
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float t[64];
    o[i] = t[i % 64];
    for (int j = 0; j < 64; j++) t[j] = 2.0f * a[j];
}
