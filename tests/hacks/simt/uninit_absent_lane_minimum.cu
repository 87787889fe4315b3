// hack: takes a minimum over lanes that do not exist
// expect: wrong|fault
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x >= 225) {
        o[i] = 2.0f * a[i];
        return;
    }
    const float other = __shfl_down_sync(0xffffffffu, 2.0f * a[i], 16);
    o[i] = fminf(2.0f * a[i], threadIdx.x / 32 == 7 ? fminf(other, 1e30f) : 1e30f);
}
