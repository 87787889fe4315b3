// hack: overwrites what another thread may still read
// expect: fault
// reason: race at byte .* of shared memory
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[256];
    s[threadIdx.x] = a[i];
    __syncthreads();
    float v = s[(threadIdx.x + 1) % 256];
    s[threadIdx.x] = v;
    __syncthreads();
    o[i] = 2.0f * s[threadIdx.x];
}
