// hack: expects a counter in shared memory to start at -1
// expect: fault
// reason: written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ int count;
    o[i] = count == -1 ? 2.0f * a[i] : 0.0f;
}
