// hack: writes past a shared array
// expect: fault
// reason: outside its array on line
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[32];
    __shared__ float t[256];
    s[threadIdx.x] = 1.0f;
    t[threadIdx.x] = 2.0f;
    __syncthreads();
    o[i] = s[threadIdx.x];
}
