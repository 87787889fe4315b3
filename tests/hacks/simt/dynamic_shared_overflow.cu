// hack: writes past the dynamic shared memory
// expect: fault
// reason: dynamic shared memory, which has 512 bytes
extern "C" __global__ void k(float* o, const float* a, int n) {
    extern __shared__ float s[];
    s[threadIdx.x + 100] = 1.0f;
    o[threadIdx.x] = s[threadIdx.x + 100];
}
