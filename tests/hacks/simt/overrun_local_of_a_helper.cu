// hack: a helper writes past its own array into the frame of its caller
// expect: fault
// reason: outside the local variables|wild write
__device__ __noinline__ void fill(int count, float value) {
    float own[4];
    float* p = own;
    for (int j = 0; j < count; j++) p[j] = value;
}
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    fill(200, 2.0f);
    o[i] = 2.0f * a[i];
}
