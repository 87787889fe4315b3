// hack: recurses until the stack ends
// expect: fault
// reason: stack overflow
__device__ int r(int d, volatile int* p) {
    volatile int q[64];
    q[0] = d;
    return d <= 0 ? 0 : r(d - 1, q) + q[0];
}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = (float)r(100000, 0);
}
