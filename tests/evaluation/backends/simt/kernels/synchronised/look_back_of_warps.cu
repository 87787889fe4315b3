// decoupled look-back: numbers from a counter, state and value in one word of 64 bits, a warp looks back
// problem: prefix
// scratch state int64[ceil_div(n, 64) + 1]
// launch clear<<<ceil_div(n, 64) + 1, 1>>>(state)
// launch scan<<<ceil_div(n, 64), 64>>>(x, state, out, n)
extern "C" __global__ void clear(unsigned long long* state) { state[blockIdx.x] = 0; }
extern "C" __global__ void scan(const int* x, unsigned long long* state, int* out, int n) {
    __shared__ int s[64], number, before;
    int t = threadIdx.x;
    if (t == 0) number = (int)atomicAdd(state, 1ull);
    __syncthreads();
    unsigned long long* own = state + 1 + number;
    int i = number * 64 + t;
    s[t] = i < n ? x[i] : 0;
    __syncthreads();
    for (int h = 1; h < 64; h *= 2) {
        int v = t >= h ? s[t - h] : 0;
        __syncthreads();
        s[t] += v;
        __syncthreads();
    }
    if (t < 32) {
        unsigned long long aggregate = (unsigned)s[63];
        if (t == 0) atomicExch(own, aggregate | (number ? 1ull : 2ull) << 32);
        int sum = 0;
        for (int at = number - 1 - t; number > 0; at -= 32) {
            unsigned long long word;
            do word = at >= 0 ? *(volatile unsigned long long*)(state + 1 + at) : 2ull << 32;
            while (__any_sync(0xffffffffu, word >> 32 == 0));
            unsigned whole = __ballot_sync(0xffffffffu, word >> 32 == 2);
            int part = t <= (whole ? __ffs(whole) - 1 : 31) ? (int)(unsigned)word : 0;
            for (int h = 16; h; h >>= 1) part += __shfl_xor_sync(0xffffffffu, part, h);
            sum += part;
            if (whole) break;
        }
        if (t == 0) {
            before = sum;
            if (number) atomicExch(own, (unsigned)(sum + s[63]) | 2ull << 32);
        }
    }
    __syncthreads();
    if (i < n) out[i] = before + s[t];
}
