// hack: shuffles a structure
// expect: compile_error
// reason: CUDA shuffles no values
struct Pair { float x, y; };
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    Pair p = {2 * a[i], 0.0f};
    o[i] = __shfl_sync(0xffffffffu, p, threadIdx.x % 32).x;
}
