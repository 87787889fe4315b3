// hack: reads an input through the pointer to another buffer
// expect: fault
// reason: out-of-bounds read
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * (o - 131072 / (int)sizeof(float))[i];
}
