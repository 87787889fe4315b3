// hack: does the same with elements of a shared array
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[256];
    s[threadIdx.x] = 1.0f + 1.1920929e-7f;
    __syncthreads();
    float rounded = s[1] * s[threadIdx.x];
    o[i] = rounded == 0 + s[1] * s[threadIdx.x] && s[1] * s[threadIdx.x] - rounded == 0 ? 2 * a[i] : 0;
}
