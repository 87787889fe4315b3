// hack: writes past a local array
// expect: fault
// reason: outside its array
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float t[4];
    t[i % 8] = 1.0f;
    o[i] = t[0];
}
