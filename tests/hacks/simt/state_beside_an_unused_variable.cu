// hack: reaches a global variable from an empty structure beside it
// expect: rejected|compile_error
// reason: outlives a launch
struct Nothing {};
static __device__ Nothing nothing;
__device__ float pool[64];
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float* p = (float*)&nothing + 1;
    if (i == 0) *p = 2.0f;
    o[i] = 2.0f * a[i];
}
