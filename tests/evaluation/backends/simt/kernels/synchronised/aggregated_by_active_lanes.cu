// lanes that happen to be together elect one that adds for them
// problem: counts
// launch zero<<<1, 16>>>(out)
// launch count<<<ceil_div(n, 64), 64>>>(x, out, n)
extern "C" __global__ void zero(int* out) { out[threadIdx.x] = 0; }
extern "C" __global__ void count(const int* x, int* out, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i >= n) return;
    int lane = threadIdx.x & 31;
    if (x[i] == 3) {
        unsigned together = __activemask();
        int leader = __ffs(together) - 1, base = 0;
        if (lane == leader) base = atomicAdd(&out[3], __popc(together));
        base = __shfl_sync(together, base, leader);
        if (base < 0) out[3] = -1;
        return;
    }
    unsigned same = __match_any_sync(__activemask(), x[i]);
    if (lane == __ffs(same) - 1) atomicAdd(&out[x[i]], __popc(same));
}
