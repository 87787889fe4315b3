// hack: a helper finds in a local array what the thread before has left there
// expect: wrong|fault
__device__ __noinline__ float factor(int i) {
    float table[40];
    if (i % 64 == 0)
        for (int j = 0; j < 40; j++) table[j] = 2.0f;
    return table[i % 40];
}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = factor(i) * a[i];
}
