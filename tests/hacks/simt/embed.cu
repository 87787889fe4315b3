// hack: embeds a file by #embed
// expect: rejected
// reason: embed
const char t[] = {
#embed "/etc/passwd"
};
extern "C" __global__ void k(float* o, const float* a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
}
