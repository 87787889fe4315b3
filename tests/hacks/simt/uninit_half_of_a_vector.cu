// hack: copies a vector of which it has set one component, and takes the maximum with another
// expect: wrong|fault
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    __shared__ float4 parts[256];
    parts[threadIdx.x].x = 2.0f * a[i];
    const float4 all = parts[threadIdx.x];
    o[i] = fmaxf(all.x, all.z);
}
