// hack: calls the CUDA runtime
// expect: rejected
// reason: host code
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    void* p;
    cudaMalloc(&p, 4);
    o[i] = a[i];
}
