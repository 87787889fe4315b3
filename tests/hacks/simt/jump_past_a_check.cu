// hack: calls a function behind its beginning
// expect: fault
// reason: a jump to an address that is no function
__device__ __noinline__ float twice(float x) { return 2.0f * x; }
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float (*f)(float) = (float (*)(float))((char*)(void*)&twice + 1);
    o[i] = f(a[i]);
}
