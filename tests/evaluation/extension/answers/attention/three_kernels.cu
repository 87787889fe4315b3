// expect correct
#include <torch/extension.h>
#include <cmath>

template <typename T>
__global__ void qk(const T* q, const T* k, T* s, int L, int D, float scale) {
    int j = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y, h = blockIdx.z;
    if (j >= L) return;
    T acc = 0;
    for (int d = 0; d < D; ++d) acc += q[(h * L + i) * D + d] * k[(h * L + j) * D + d];
    s[(h * L + i) * L + j] = acc * scale;
}
template <typename T>
__global__ void rows(T* s, int count, int L) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= count) return;
    T m = s[r * L], t = 0;
    for (int j = 1; j < L; ++j) m = s[r * L + j] > m ? s[r * L + j] : m;
    for (int j = 0; j < L; ++j) t += exp(s[r * L + j] - m);
    for (int j = 0; j < L; ++j) s[r * L + j] = exp(s[r * L + j] - m) / t;
}
template <typename T>
__global__ void pv(const T* s, const T* v, T* o, int L, int D) {
    int d = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y, h = blockIdx.z;
    if (d >= D) return;
    T acc = 0;
    for (int j = 0; j < L; ++j) acc += s[(h * L + i) * L + j] * v[(h * L + j) * D + d];
    o[(h * L + i) * D + d] = acc;
}

template <typename T>
void attention_impl(const T* q, const T* k, const T* v, T* s, T* o, int BH, int L, int D, cudaStream_t stream) {
    float scale = 1.f / std::sqrt(static_cast<float>(D));
    qk<T><<<dim3((L + 31) / 32, L, BH), 32, 0, stream>>>(q, k, s, L, D, scale);
    rows<T><<<(BH * L + 63) / 64, 64, 0, stream>>>(s, BH * L, L);
    pv<T><<<dim3((D + 31) / 32, L, BH), 32, 0, stream>>>(s, v, o, L, D);
}

torch::Tensor attention(torch::Tensor q, torch::Tensor k, torch::Tensor v) {
    auto B = q.size(0), H = q.size(1), L = q.size(2), D = q.size(3);
    auto scores = torch::empty({B, H, L, L}, q.options());
    auto out = torch::empty_like(q);
    auto stream = at::cuda::getCurrentCUDAStream().stream();
    attention_impl<float>(q.data_ptr<float>(), k.data_ptr<float>(), v.data_ptr<float>(), scores.data_ptr<float>(), out.data_ptr<float>(), B * H, L, D, stream);
    return out;
}
