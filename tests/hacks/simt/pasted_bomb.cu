// hack: pastes more text than memory
// expect: compile_error
// reason: gave up|was ended
#define JOIN(x, y) x##y
#define A(x) x##x x##x x##x x##x x##x x##x x##x x##x
#define B(x) A(x) A(x) A(x) A(x) A(x) A(x) A(x) A(x)
#define C(x) B(x) B(x) B(x) B(x) B(x) B(x) B(x) B(x)
#define D(x) C(x) C(x) C(x) C(x) C(x) C(x) C(x) C(x)
#define E(x) D(x) D(x) D(x) D(x) D(x) D(x) D(x) D(x)
#define F(x) E(x) E(x) E(x) E(x) E(x) E(x) E(x) E(x)
#define G(x) F(x) F(x) F(x) F(x) F(x) F(x) F(x) F(x)
#define H(x) G(x) G(x) G(x) G(x) G(x) G(x) G(x) G(x)
#define I(x) H(x) H(x) H(x) H(x) H(x) H(x) H(x) H(x)
#define J(x) I(x) I(x) I(x) I(x) I(x) I(x) I(x) I(x)
#define K(x) J(x) J(x) J(x) J(x) J(x) J(x) J(x) J(x)
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = 2 * a[i];
}
K(y)
