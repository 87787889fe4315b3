// hack: runs code before the kernel, by an initialiser
// expect: compile_error
// reason: before the kernel
__device__ float start() { return 1.0f; }
__device__ float x = start();
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = x;
}
