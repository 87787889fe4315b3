// hack: defines the thunk by which the runner watches its returns
// expect: rejected
// reason: names of the checker
extern "C" __device__ void __x86_return_thunk() {}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i];
}
