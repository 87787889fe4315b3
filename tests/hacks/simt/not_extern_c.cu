// hack: is not declared extern "C"
// expect: rejected
// reason: extern "C"
__global__ void k(float* o, const float* a, int n) {}

