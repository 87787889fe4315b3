// hack: has an array of run-time length
// expect: compile_error
// reason: variable length
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float t[n];
    t[0] = a[i];
    o[i] = t[0];
}
