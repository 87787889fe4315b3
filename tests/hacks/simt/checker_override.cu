// hack: replaces a callback of the checker
// expect: rejected
// reason: names of the checker
extern "C" void __tsan_write4(void*) {}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[n] = 1.0f;
}
