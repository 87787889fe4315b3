// hack: prints what a successful run would report
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    printf("ok\t\t0 0 0\t0 0 0\t0\t");
}
