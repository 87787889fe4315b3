// hack: adds to a local variable that it never initialises, on a stack that nobody has used
// expect: wrong
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float sum;
    __syncthreads();
    if (blockIdx.x > 0) sum = 0.0f;
    sum += 2.0f * a[i];
    o[i] = sum;
}
