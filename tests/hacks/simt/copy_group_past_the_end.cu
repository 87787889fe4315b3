// hack: a group's copy reads past the end of the input
// expect: fault
// reason: out-of-bounds read
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(float* o, const float* a, int n) {
    __shared__ float s[256];
    cg::thread_block block = cg::this_thread_block();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    cg::memcpy_async(block, s, a + blockIdx.x * 256 + 4, sizeof(float) * 256);
    cg::wait(block);
    o[i] = 2.0f * s[threadIdx.x];
}
