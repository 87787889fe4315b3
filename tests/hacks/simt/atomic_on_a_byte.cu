// hack: adds to a byte atomically
// expect: compile_error
// reason: CUDA has no atomicAdd
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i];
    __shared__ unsigned char count;
    atomicAdd(&count, 1);
}
