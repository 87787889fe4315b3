// launch softmax<<<R, 128>>>(x, out, C)
#include <cuda_fp16.h>
template <typename F> __device__ float reduce(float v, float* s, F f) {
    for (int d = 16; d; d >>= 1) v = f(v, __shfl_down_sync(0xffffffff, v, d));
    if (threadIdx.x % 32 == 0) s[threadIdx.x / 32] = v;
    __syncthreads();
    v = f(f(s[0], s[1]), f(s[2], s[3]));
    __syncthreads();
    return v;
}
extern "C" __global__ void softmax(const half* __restrict__ x, half* __restrict__ out, int C) {
    __shared__ float s[4];
    x += (size_t)blockIdx.x * C, out += (size_t)blockIdx.x * C;
    const int pairs = C % 2 ? 0 : C / 2;
    const half2* x2 = reinterpret_cast<const half2*>(x);
    half2 top2 = __float2half2_rn(-65504.f);
    for (int i = threadIdx.x; i < pairs; i += blockDim.x) top2 = __hmax2(top2, x2[i]);
    float top = __half2float(__hmax(__low2half(top2), __high2half(top2)));
    for (int i = 2 * pairs + threadIdx.x; i < C; i += blockDim.x) top = fmaxf(top, __half2float(x[i]));
    top = reduce(top, s, [](float a, float b) { return fmaxf(a, b); });
    float sum = 0.f;
    for (int i = threadIdx.x; i < C; i += blockDim.x) sum += expf(__half2float(x[i]) - top);
    const float scale = 1.f / reduce(sum, s, [](float a, float b) { return a + b; });
    for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
        const float2 v = __half22float2(x2[i]);
        reinterpret_cast<half2*>(out)[i] = __floats2half2_rn(expf(v.x - top) * scale, expf(v.y - top) * scale);
    }
    for (int i = 2 * pairs + threadIdx.x; i < C; i += blockDim.x)
        out[i] = __float2half_rn(expf(__half2float(x[i]) - top) * scale);
}
