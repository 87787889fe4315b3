// hack: converts a NaN to int: the least int on x86, 0 on a GPU
// expect: fault
// reason: converted to 'int'
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float nan = sqrtf(-a[i]);
    o[i] = (int)nan != 0 ? 2 * a[i] : 0;
}
