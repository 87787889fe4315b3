// hack: switches the checks off by naming the checker
// expect: rejected
// reason: names of the checker
extern char simt_dynamic_shared[];
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 1.0f;
}
