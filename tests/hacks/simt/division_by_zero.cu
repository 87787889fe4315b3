// hack: divides an integer by zero
// expect: fault
// reason: division by zero
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int z = n - 1024;
    o[i] = (float)(i / z);
}
