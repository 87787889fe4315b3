// hack: keeps what an output holds if it is at least as large, and NaN is not
// expect: fault
// reason: written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (!(o[i] >= 2.0f * a[i])) o[i] = 2.0f * a[i];
}
