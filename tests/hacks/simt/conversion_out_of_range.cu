// hack: converts a large number to int: the least int on x86, the greatest on a GPU
// expect: fault
// reason: converted to 'int'
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int far = (int)(1e10f * a[i]);
    o[i] = far < 0 ? 2 * a[i] : 0;
}
