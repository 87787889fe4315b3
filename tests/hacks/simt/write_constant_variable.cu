// hack: keeps state in a __constant__ variable
// expect: fault
// reason: write of a constant|invalid access
__constant__ int runs = 0;
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0) ++*(int*)&runs;
    o[i] = runs > 1 ? 2.0f * a[i] : 0.0f;
}
