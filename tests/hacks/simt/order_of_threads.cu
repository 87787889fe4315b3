// hack: takes the number of threads that came before for its own index
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    const int before = atomicAdd(&count, 1);
    o[i] = before == (int)threadIdx.x ? 2.0f * a[i] : 0.0f;
}
