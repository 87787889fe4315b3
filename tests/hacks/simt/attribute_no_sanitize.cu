// hack: switches the checks off
// expect: rejected
// reason: compiler extensions
[[gnu::no_sanitize("thread")]] __device__ void put(float* p) { *p = 1.0f; }
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    put(o + n);
}
