// hack: writes to constant data
// expect: fault
// reason: write of a constant|invalid access
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    const char* text = "x";
    *(char*)text = 1;
    o[i] = a[i];
}
