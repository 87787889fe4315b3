// hack: reads what another thread wrote without a barrier
// expect: fault
// reason: race at byte .* of shared memory
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[256];
    s[threadIdx.x] = 0.0f;
    __syncthreads();
    s[threadIdx.x] = a[i];
    o[i] = 2.0f * s[255 - threadIdx.x];
}
