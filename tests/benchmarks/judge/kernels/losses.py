"""Losses: everything folds into one number."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.judge.kernels.text import Kernel, Style, blocks, write

_TERMS = {
    "mse_loss": "(u - v) * (u - v)",
    "smooth_l1_loss": "fabsf(u - v) < 1.f ? 0.5f * (u - v) * (u - v) : fabsf(u - v) - 0.5f",
    "hinge_loss": "fmaxf(1.f - u * v, 0.f)",
}

_TREE = """  part[t] = a;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) part[t] += part[t + s];
    __syncthreads();
  }"""
_ONE_BLOCK = """
// launch $k<<<1, $B>>>(x, y, out, n)
extern "C" __global__ void $k(const float* x, const float* y, float* out, int n) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  float a = 0.f;
  for (int i = t; i < n; i += $B) {
    float u = x[i];
    float v = y[i];
    a += $term;
  }
$tree
  if (t == 0) out[0] = part[0] / n;
}
"""
_PARTIALS = """
// scratch partial float32[$G]
// launch $k<<<$G, $B>>>(x, y, partial, n)
// launch finish<<<1, 32>>>(partial, out, n)
extern "C" __global__ void $k(const float* x, const float* y, float* partial, int n) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  float a = 0.f;
  for (int i = blockIdx.x * $B + t; i < n; i += $G * $B) {
    float u = x[i];
    float v = y[i];
    a += $term;
  }
$tree
  if (t == 0) partial[blockIdx.x] = part[0];
}
extern "C" __global__ void finish(const float* partial, float* out, int n) {
  float a = 0.f;
  for (int j = threadIdx.x; j < $G; j += 32) {
    a += partial[j];
  }
  for (int d = 16; d > 0; d >>= 1) a += __shfl_down_sync(0xffffffff, a, d);
  if (threadIdx.x == 0) out[0] = a / n;
}
"""
_ATOMICS = """
// launch clear<<<1, 1>>>(out)
// launch $k<<<min(ceil_div(n, $B), $G), $B>>>(x, y, out, n)
extern "C" __global__ void clear(float* out) {
  out[0] = 0.f;
}
extern "C" __global__ void $k(const float* x, const float* y, float* out, int n) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  float a = 0.f;
  for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x) {
    float u = x[i];
    float v = y[i];
    a += $term;
  }
$tree
  if (t == 0) atomicAdd(out, part[0] / n);
}
"""
_SHUFFLES = """
// launch clear<<<1, 1>>>(out)
// launch $k<<<min(ceil_div(n, $B), $G), $B>>>(x, y, out, n)
extern "C" __global__ void clear(float* out) {
  *out = 0.f;
}
extern "C" __global__ void $k(const float* x, const float* y, float* out, int n) {
  __shared__ float sums[$W];
  float a = 0.f;
  for (int i = blockIdx.x * $B + threadIdx.x; i < n; i += gridDim.x * $B) {
    float u = x[i];
    float v = y[i];
    a += $term;
  }
  for (int d = 16; d > 0; d >>= 1) a += __shfl_down_sync(0xffffffff, a, d);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = a;
  __syncthreads();
  if (threadIdx.x == 0) {
    float total = 0.f;
    for (int w = 0; w < $W; ++w) total += sums[w];
    atomicAdd(out, total / n);
  }
}
"""
_LAST_BLOCK = """
// scratch partial float32[$G]
// scratch ticket int32[1]
// launch clear<<<1, 1>>>(ticket)
// launch $k<<<$G, $B>>>(x, y, partial, ticket, out, n)
extern "C" __global__ void clear(unsigned* ticket) {
  *ticket = 0u;
}
extern "C" __global__ void $k(const float* x, const float* y, volatile float* partial, unsigned* ticket, float* out, int n) {
  __shared__ float part[$B];
  __shared__ bool last;
  int t = threadIdx.x;
  float a = 0.f;
  for (int i = blockIdx.x * $B + t; i < n; i += $G * $B) {
    float u = x[i];
    float v = y[i];
    a += $term;
  }
$tree
  if (t == 0) {
    partial[blockIdx.x] = part[0];
    __threadfence();
    last = atomicInc(ticket, $G) == $G - 1;
  }
  __syncthreads();
  if (last) {
    __threadfence();
    a = 0.f;
    for (int j = t; j < $G; j += $B) {
      a += partial[j];
    }
    part[t] = a;
    __syncthreads();
    for (int s = $B / 2; s > 0; s >>= 1) {
      if (t < s) part[t] += part[t + s];
      __syncthreads();
    }
    if (t == 0) out[0] = part[0] / n;
  }
}
"""
_VECTOR = """
// scratch partial float32[$G]
// launch $k<<<$G, $B>>>(x, y, partial, n)
// launch finish<<<1, 1>>>(partial, out, n)
__device__ float term(float u, float v) {
  return $term;
}
extern "C" __global__ void $k(const float* x, const float* y, float* partial, int n) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  float a = 0.f;
  for (int q = blockIdx.x * $B + t; q < n / 4; q += $G * $B) {
    float4 u = reinterpret_cast<const float4*>(x)[q];
    float4 v = reinterpret_cast<const float4*>(y)[q];
    a += term(u.x, v.x) + term(u.y, v.y) + term(u.z, v.z) + term(u.w, v.w);
  }
  if (blockIdx.x == 0 && t < n % 4) {
    a += term(x[n / 4 * 4 + t], y[n / 4 * 4 + t]);
  }
$tree
  if (t == 0) partial[blockIdx.x] = part[0];
}
extern "C" __global__ void finish(const float* partial, float* out, int n) {
  float a = 0.f;
  for (int j = 0; j < $G; ++j) {
    a += partial[j];
  }
  out[0] = a / n;
}
"""
_GROUPS = """
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
// launch $k<<<1, $B>>>(x, y, out, n)
extern "C" __global__ void $k(const float* x, const float* y, float* out, int n) {
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<32> tile = cg::tiled_partition<32>(block);
  __shared__ float sums[$W];
  float a = 0.f;
  for (int i = block.thread_rank(); i < n; i += block.size()) {
    float u = x[i];
    float v = y[i];
    a += $term;
  }
  for (int d = 16; d > 0; d >>= 1) a += tile.shfl_down(a, d);
  if (tile.thread_rank() == 0) sums[tile.meta_group_rank()] = a;
  block.sync();
  if (tile.meta_group_rank() == 0) {
    a = tile.thread_rank() < $W ? sums[tile.thread_rank()] : 0.f;
    for (int d = 16; d > 0; d >>= 1) a += tile.shfl_down(a, d);
    if (tile.thread_rank() == 0) out[0] = a / n;
  }
}
"""
_ENTROPY_PARTIALS = """
// scratch loss float32[rows]
// launch $k<<<ceil_div(rows, $B), $B>>>(x, labels, loss, rows, cols)
// launch finish<<<1, 128>>>(loss, out, rows)
extern "C" __global__ void $k(const float* x, const long long* labels, float* loss, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  float m = -INFINITY;
  for (int c = 0; c < cols; ++c) {
    m = fmaxf(m, x[r * cols + c]);
  }
  float s = 0.f;
  for (int c = 0; c < cols; ++c) {
    s += expf(x[r * cols + c] - m);
  }
  loss[r] = m + logf(s) - x[r * cols + labels[r]];
}
extern "C" __global__ void finish(const float* loss, float* out, int rows) {
  __shared__ float part[128];
  int t = threadIdx.x;
  float a = 0.f;
  for (int r = t; r < rows; r += 128) {
    a += loss[r];
  }
  part[t] = a;
  __syncthreads();
  for (int s = 64; s > 0; s >>= 1) {
    if (t < s) part[t] += part[t + s];
    __syncthreads();
  }
  if (t == 0) out[0] = part[0] / rows;
}
"""
_ENTROPY_WARP = """
// launch clear<<<1, 1>>>(out)
// launch $k<<<ceil_div(rows, $W), dim3(32, $W)>>>(x, labels, out, rows, cols)
extern "C" __global__ void clear(float* out) {
  *out = 0.f;
}
extern "C" __global__ void $k(const float* x, const long long* labels, float* out, int rows, int cols) {
  int r = blockIdx.x * $W + threadIdx.y;
  if (r >= rows) return;
  const float* row = x + (size_t)r * cols;
  float m = -FLT_MAX;
  float s = 0.f;
  for (int c = threadIdx.x; c < cols; c += 32) {
    float u = row[c];
    float higher = fmaxf(m, u);
    s = s * expf(m - higher) + expf(u - higher);
    m = higher;
  }
  for (int d = 16; d > 0; d >>= 1) {
    float m2 = __shfl_xor_sync(0xffffffff, m, d);
    float s2 = __shfl_xor_sync(0xffffffff, s, d);
    float higher = fmaxf(m, m2);
    s = s * expf(m - higher) + s2 * expf(m2 - higher);
    m = higher;
  }
  if (threadIdx.x == 0) atomicAdd(out, (m + logf(s) - row[labels[r]]) / rows);
}
"""


def kernels() -> Iterator[Kernel]:
    """Every kernel of a loss."""
    for program, term in _TERMS.items():
        for style, template, variants in (
            (Style.TILED, _ONE_BLOCK, blocks(256, 512)),
            (Style.PARTIALS, _PARTIALS, (*blocks(128, G=64), *blocks(256, G=24))),
            (Style.ATOMICS, _ATOMICS, (*blocks(128, G=64), *blocks(256, G=40))),
            (Style.SHUFFLES, _SHUFFLES, blocks(256, 128, G=48)),
            (Style.LAST_BLOCK, _LAST_BLOCK, (*blocks(64, G=16), *blocks(128, G=40))),
            (Style.VECTOR, _VECTOR, blocks(128, 64, G=20)),
            (Style.GROUPS, _GROUPS, blocks(256, 1024)),
        ):
            text = template.replace("$tree", _TREE)
            yield from write(program, style, text, *({**each, "term": term} for each in variants))
    yield from write("cross_entropy", Style.PARTIALS, _ENTROPY_PARTIALS, *blocks(64, 128))
    yield from write("cross_entropy", Style.ONLINE, _ENTROPY_WARP, *blocks(128, 256))
