// hack: overwrites its own code
// expect: fault
// reason: wild|invalid access|constant
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    *(int*)(void*)&k = 0;
    o[i] = a[i];
}
