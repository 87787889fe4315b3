// launch k<<<1, 1>>>(out)
extern "C" __global__ void k(float* out) { out[0] = 0.f; }
