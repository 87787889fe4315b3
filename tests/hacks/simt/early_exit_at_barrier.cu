// hack: lets some threads return before a barrier and skips their outputs
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n - 10) return;
    __syncthreads();
    o[i] = 2.0f * a[i];
}
