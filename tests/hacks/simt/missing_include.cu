// hack: uses half without its header
// expect: compile_error
// reason: cuda_fp16.h
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2.0f * __half2float(__float2half(a[i]));
}
