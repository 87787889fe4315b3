// hack: takes an integer maximum of floats over an output that it never initialises
// expect: fault
// reason: written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicMax((int*)&o[i], __float_as_int(2.0f * a[i]));
}
