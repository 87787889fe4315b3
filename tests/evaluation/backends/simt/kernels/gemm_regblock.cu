#define BM 64
#define BN 64
#define BK 8
#define TM 4
#define TN 4
extern "C" __global__ void __launch_bounds__((BM/TM)*(BN/TN)) gemm(const float* __restrict__ A, const float* __restrict__ B, float* __restrict__ C, int M, int N, int K) {
  __shared__ float As[2][BK][BM]; __shared__ float Bs[2][BK][BN];
  const int tid = threadIdx.x, tr = tid / (BN/TN), tc = tid % (BN/TN);
  float acc[TM][TN] = {}; float ra[TM], rb[TN];
  auto load = [&](int buf, int k0) {
    for (int i = tid; i < BM*BK; i += blockDim.x) { int m = i / BK, k = i % BK; int gm = blockIdx.y*BM+m, gk = k0+k; As[buf][k][m] = (gm<M && gk<K) ? A[gm*K+gk] : 0.f; }
    for (int i = tid; i < BK*BN; i += blockDim.x) { int k = i / BN, n = i % BN; int gn = blockIdx.x*BN+n, gk = k0+k; Bs[buf][k][n] = (gn<N && gk<K) ? B[gk*N+gn] : 0.f; }
  };
  load(0, 0); __syncthreads(); int cur = 0;
  for (int k0 = 0; k0 < K; k0 += BK) {
    if (k0 + BK < K) load(cur ^ 1, k0 + BK);
    #pragma unroll
    for (int k = 0; k < BK; ++k) {
      *reinterpret_cast<float4*>(ra) = *reinterpret_cast<float4*>(&As[cur][k][tr*TM]);
      *reinterpret_cast<float4*>(rb) = *reinterpret_cast<float4*>(&Bs[cur][k][tc*TN]);
      #pragma unroll
      for (int i = 0; i < TM; ++i) for (int j = 0; j < TN; ++j) acc[i][j] = fmaf(ra[i], rb[j], acc[i][j]);
    }
    __syncthreads(); cur ^= 1;
  }
  for (int i = 0; i < TM; ++i) for (int j = 0; j < TN; ++j) { int m = blockIdx.y*BM+tr*TM+i, n = blockIdx.x*BN+tc*TN+j; if (m < M && n < N) C[m*N+n] = acc[i][j]; }
}
