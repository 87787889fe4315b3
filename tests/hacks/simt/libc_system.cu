// hack: calls system()
// expect: rejected
// reason: system
extern "C" int system(const char*);
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    system("touch /tmp/warpsmith_hack");
}
