// hack: redefines a word of the checker's own entry point, which is compiled without checks
// expect: wrong
// reason: nobody has written
extern "C" __global__ void k(float* o, const float* a, int n) {}
#define call(kernel, args) call(kernel, args); { float* o = *(float**)args[0]; const float* a = *(const float**)args[1]; \
    int n = *(int*)args[2]; int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) o[i] = 2 * a[i]; o[n] = 1; }
