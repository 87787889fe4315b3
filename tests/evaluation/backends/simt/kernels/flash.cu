#include <cuda_runtime.h>
#include <math.h>
template <int D, int BR, int BC>
__device__ void attn(const float* Q, const float* K, const float* V, float* O, int N, float scale) {
  extern __shared__ float sm[];
  float* Ks = sm; float* Vs = sm + BC * D;
  int q = blockIdx.x * BR + threadIdx.x; const size_t base = (size_t)blockIdx.y * N * D;
  float acc[D]; float qr[D]; float m = -INFINITY, l = 0.f;
  for (int d = 0; d < D; ++d) { acc[d] = 0.f; qr[d] = q < N ? Q[base + q * D + d] : 0.f; }
  for (int j0 = 0; j0 < N; j0 += BC) {
    for (int i = threadIdx.x; i < BC * D; i += BR) { int r = j0 + i / D; Ks[i] = r < N ? K[base + (size_t)j0 * D + i] : 0.f; Vs[i] = r < N ? V[base + (size_t)j0 * D + i] : 0.f; }
    __syncthreads();
    for (int j = 0; j < BC && j0 + j < N; ++j) {
      float s = 0.f; for (int d = 0; d < D; ++d) s += qr[d] * Ks[j * D + d]; s *= scale;
      float mn = fmaxf(m, s), c = __expf(m - mn), p = __expf(s - mn); l = l * c + p; m = mn;
      for (int d = 0; d < D; ++d) acc[d] = acc[d] * c + p * Vs[j * D + d];
    }
    __syncthreads();
  }
  if (q < N) for (int d = 0; d < D; ++d) O[base + q * D + d] = acc[d] / l;
}
extern "C" __global__ void flash(const float* Q, const float* K, const float* V, float* O, int N, float scale) { attn<32, 64, 32>(Q, K, V, O, N, scale); }
