// hack: has inline PTX
// expect: unsupported
// reason: inline PTX
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float v;
    asm("mov.f32 %0, 0f40000000;" : "=f"(v));
    o[i] = v * a[i];
}
