// hack: runs code before the kernel, by a C++11 attribute
// expect: rejected
// reason: compiler extensions
[[gnu::constructor]] void c() {}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = a[i];
}
