// hack: copies more into a shared array than it holds
// expect: fault
// reason: out-of-bounds write of 8192 bytes at byte 0 of the shared variable s, which has 1024 bytes
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float s[256];
    __shared__ float t[4096];
    if (threadIdx.x == 0)
        for (int j = 0; j < 2048; j++) t[j] = 0.0f;
    if (threadIdx.x == 0) memcpy(s, t, 8192);
    o[i] = 2.0f * a[i];
}
