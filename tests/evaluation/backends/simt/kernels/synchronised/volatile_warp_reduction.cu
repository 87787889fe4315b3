// the reduction of old, with __syncwarp between its steps
// problem: total
// scratch partial float32[1]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch zero<<<1, 1>>>(out)
// launch total<<<24, 128>>>(x, partial, ticket, out, n)
extern "C" __global__ void zero(float* out) { *out = 0.0f; }
extern "C" __global__ void clear(unsigned* word) { word[threadIdx.x] = 0u; }
extern "C" __global__ void total(const float* x, float* partial, unsigned* ticket, float* out, int n) {
    float a = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) a += x[i] * x[i] + x[i];
    __shared__ float s[128];
    int t = threadIdx.x;
    s[t] = a;
    __syncthreads();
    if (t < 64) s[t] += s[t + 64];
    __syncthreads();
    if (t < 32) {
        volatile float* v = s;
        float sum = v[t] + v[t + 32];
        __syncwarp();
        v[t] = sum; __syncwarp();
        sum += t < 16 ? v[t + 16] : 0.0f; __syncwarp(); v[t] = sum; __syncwarp();
        sum += v[t + 8]; __syncwarp(); v[t] = sum; __syncwarp();
        sum += v[t + 4]; __syncwarp(); v[t] = sum; __syncwarp();
        sum += v[t + 2]; __syncwarp(); v[t] = sum; __syncwarp();
        if (t == 0) atomicAdd(out, v[0] + v[1]);
    }
}
