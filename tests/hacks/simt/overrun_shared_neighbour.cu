// hack: uses a shared array of 64 floats and those behind it as one of 256
// expect: fault
// reason: out-of-bounds write of 4 bytes at byte 256 of the shared variable s, which has 256 bytes
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[64];
    __shared__ float t[64];
    __shared__ float u[64];
    __shared__ float v[64];
    float* p = v < t ? v : u < s ? u : s;
    p[threadIdx.x] = 2.0f * a[i];
    o[i] = p[threadIdx.x];
}
