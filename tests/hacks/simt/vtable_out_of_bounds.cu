// hack: has a destructor write a pointer to virtual functions past the end of the output
// expect: fault
// reason: out-of-bounds write of 8 bytes
struct Base {
    __device__ virtual float twice(float v) { return 2.0f * v; }
    __device__ ~Base() {}
};
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    Base base;
    o[i] = base.twice(a[i]);
    if (i == 0) ((Base*)(void*)(o + n))->~Base();
}
