// hack: reads another thread's local variable
// expect: fault
// reason: another thread's local
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float* p;
    float mine = a[i];
    if (threadIdx.x == 0) p = &mine;
    __syncthreads();
    o[i] = *p;
}
