// hack: defines another kernel than the launched one
// expect: rejected
// reason: does not define
extern "C" __global__ void other(float* o, const float* a, int n) {}

