// hack: counts in dynamic shared memory that nobody has cleared
// expect: fault
// reason: atomic update .* not written
extern "C" __global__ void k(float* o, const float* a, int n) {
    extern __shared__ int count[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicMax(&count[4], i);
    __syncthreads();
    o[i] = count[4] >= i ? 2.0f * a[i] : 0.0f;
}
