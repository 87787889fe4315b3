// each block waits for the one before it: value and flag are two words
// problem: prefix
// scratch sums int32[ceil_div(n, 128)]
// scratch flags int32[ceil_div(n, 128)]
// launch clear<<<ceil_div(n, 128), 1>>>(flags)
// launch scan<<<ceil_div(n, 128), 128>>>(x, sums, flags, out, n)
extern "C" __global__ void clear(int* flags) { flags[blockIdx.x] = 0; }
extern "C" __global__ void scan(const int* x, int* sums, volatile int* flags, int* out, int n) {
    __shared__ int s[128];
    __shared__ int before;
    int t = threadIdx.x, i = blockIdx.x * 128 + t;
    s[t] = i < n ? x[i] : 0;
    __syncthreads();
    for (int h = 1; h < 128; h *= 2) {
        int v = t >= h ? s[t - h] : 0;
        __syncthreads();
        s[t] += v;
        __syncthreads();
    }
    if (t == 0) {
        int sum = 0;
        if (blockIdx.x > 0) {
            while (flags[blockIdx.x - 1] == 0) {}
            __threadfence();
            sum = sums[blockIdx.x - 1];
        }
        before = sum;
        sums[blockIdx.x] = sum + s[127];
        __threadfence();
        flags[blockIdx.x] = 1;
    }
    __syncthreads();
    if (i < n) out[i] = before + s[t];
}
