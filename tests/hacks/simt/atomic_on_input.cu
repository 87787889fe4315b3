// hack: changes its input with an atomic
// expect: fault
// reason: atomic update of input a
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * a[i];
    atomicAdd((float*)a, 1.0f);
}
