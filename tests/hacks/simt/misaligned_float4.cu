// hack: loads a float4 from an address that is not a multiple of 16
// expect: fault
// reason: misaligned access on line
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 v = *(const float4*)(a + 1);
    o[i] = v.x;
}
