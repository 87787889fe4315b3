// hack: takes a maximum over an output that it never initialises
// expect: fault
// reason: written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = fmaxf(o[i], 2.0f * a[i]);
}
