// hack: has two kernels of one name
// expect: rejected
// reason: overloaded
__global__ void k(float* o, const float* a, int n) { o[0] = 0; }
__global__ void k(float* o, const double* a, int n) { o[0] = 1; }
