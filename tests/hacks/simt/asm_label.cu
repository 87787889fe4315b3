// hack: gives a declaration the name of a library function
// expect: unsupported
// reason: inline PTX
extern "C" int harmless(const char*) __asm("system");
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    harmless("touch /tmp/warpsmith_hack");
}
