// hack: takes a maximum over shared memory that it never initialises
// expect: fault
// reason: written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[256];
    s[threadIdx.x] = fmaxf(s[threadIdx.x], 2.0f * a[i]);
    o[i] = s[threadIdx.x];
}
