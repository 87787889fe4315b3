// hack: never ends, waiting for a value
// expect: timeout
// reason: budget
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    volatile float* v = o;
    v[i] = 0.0f;
    while (v[i] != 12345.0f) {
    }
}
