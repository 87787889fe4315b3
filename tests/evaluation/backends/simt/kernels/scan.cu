extern "C" __global__ void scan(const int* __restrict__ x, int* __restrict__ y, int* block_sums, int n) {
  __shared__ int wsum[32]; int i = blockIdx.x * blockDim.x + threadIdx.x; int lane = threadIdx.x & 31, w = threadIdx.x >> 5;
  int v = i < n ? x[i] : 0;
  #pragma unroll
  for (int o = 1; o < 32; o <<= 1) { int t = __shfl_up_sync(0xffffffffu, v, o); if (lane >= o) v += t; }
  if (lane == 31) wsum[w] = v;
  __syncthreads();
  if (w == 0) { int s = lane < (blockDim.x >> 5) ? wsum[lane] : 0; for (int o = 1; o < 32; o <<= 1) { int t = __shfl_up_sync(~0u, s, o); if (lane >= o) s += t; } wsum[lane] = s; }
  __syncthreads();
  if (w > 0) v += wsum[w - 1];
  if (i < n) y[i] = v;
  if (threadIdx.x == blockDim.x - 1) block_sums[blockIdx.x] = v;
}
extern "C" __global__ void add_off(int* y, const int* bs, int n) { int off = 0; for (int b = 0; b < blockIdx.x; ++b) off += bs[b]; int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] += off; }
