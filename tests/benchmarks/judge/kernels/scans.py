"""Kernels that go along rows: cumulative sums, and where the largest or smallest element lies."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.judge.kernels.text import Kernel, Style, blocks, write

_SERIAL = """
// launch $k<<<ceil_div(rows, $B), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  float a = 0.f;
  for (int c = 0; c < cols; ++c) {
    a += x[r * cols + $at];
    out[r * cols + $at] = a;
  }
}
"""
_STRIDE = """
// launch $k<<<min(rows, $G), 1>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  for (int r = blockIdx.x; r < rows; r += gridDim.x) {
    float a = 0.f;
    for (int c = 0; c < cols; ++c) {
      a += x[r * cols + $at];
      out[r * cols + $at] = a;
    }
  }
}
"""
_WARP = """
// launch $k<<<ceil_div(rows, $W), dim3(32, $W)>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.y + threadIdx.y;
  if (r >= rows) return;
  int lane = threadIdx.x;
  float carry = 0.f;
  for (int first = 0; first < cols; first += 32) {
    int c = first + lane;
    float a = c < cols ? x[r * cols + $at] : 0.f;
    for (int d = 1; d < 32; d <<= 1) {
      float b = __shfl_up_sync(0xffffffff, a, d);
      if (lane >= d) a += b;
    }
    a += carry;
    if (c < cols) out[r * cols + $at] = a;
    carry = __shfl_sync(0xffffffff, a, 31);
  }
}
"""
_BLOCK = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  int r = blockIdx.x;
  float carry = 0.f;
  for (int first = 0; first < cols; first += $B) {
    int c = first + t;
    part[t] = c < cols ? x[r * cols + $at] : 0.f;
    __syncthreads();
    for (int d = 1; d < $B; d <<= 1) {
      float b = t >= d ? part[t - d] : 0.f;
      __syncthreads();
      part[t] += b;
      __syncthreads();
    }
    if (c < cols) out[r * cols + $at] = part[t] + carry;
    carry += part[$B - 1];
    __syncthreads();
  }
}
"""
_TWO_BUFFERS = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  __shared__ float part[2][$B];
  int t = threadIdx.x;
  int r = blockIdx.x;
  float carry = 0.f;
  for (int first = 0; first < cols; first += $B) {
    int c = first + t;
    int from = 0;
    part[0][t] = c < cols ? x[r * cols + $at] : 0.f;
    __syncthreads();
    for (int d = 1; d < $B; d *= 2) {
      part[1 - from][t] = t >= d ? part[from][t] + part[from][t - d] : part[from][t];
      from = 1 - from;
      __syncthreads();
    }
    if (c < cols) out[r * cols + $at] = part[from][t] + carry;
    carry += part[from][$B - 1];
    __syncthreads();
  }
}
"""
_CHUNKS = """
// scratch sums float32[rows * $S]
// launch totals<<<ceil_div(rows * $S, 64), 64>>>(x, sums, rows, cols)
// launch $k<<<ceil_div(rows * $S, 64), 64>>>(x, sums, out, rows, cols)
extern "C" __global__ void totals(const float* x, float* sums, int rows, int cols) {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= rows * $S) return;
  int r = e / $S;
  int each = (cols + $S - 1) / $S;
  int last = min(cols, (e % $S + 1) * each);
  float a = 0.f;
  for (int c = e % $S * each; c < last; ++c) {
    a += x[r * cols + $at];
  }
  sums[e] = a;
}
extern "C" __global__ void $k(const float* x, const float* sums, float* out, int rows, int cols) {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= rows * $S) return;
  int r = e / $S;
  int each = (cols + $S - 1) / $S;
  int last = min(cols, (e % $S + 1) * each);
  float a = 0.f;
  for (int j = 0; j < e % $S; ++j) {
    a += sums[r * $S + j];
  }
  for (int c = e % $S * each; c < last; ++c) {
    a += x[r * cols + $at];
    out[r * cols + $at] = a;
  }
}
"""
_BEST_SERIAL = """
// launch $k<<<ceil_div(rows, $B), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, long long* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  int best = 0;
  float value = x[r * cols];
  for (int c = 1; c < cols; ++c) {
    float u = x[r * cols + c];
    if (u $better value) {
      value = u;
      best = c;
    }
  }
  out[r] = best;
}
"""
_BEST_TREE = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const float* x, long long* out, int cols) {
  __shared__ float values[$B];
  __shared__ int places[$B];
  int t = threadIdx.x;
  float value = $identity;
  int best = 0x7fffffff;
  for (int c = t; c < cols; c += $B) {
    float u = x[(size_t)blockIdx.x * cols + c];
    if (u $better value || best == 0x7fffffff) {
      value = u;
      best = c;
    }
  }
  values[t] = value;
  places[t] = best;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) {
      float other = values[t + s];
      int place = places[t + s];
      if (other $better values[t] || (other == values[t] && place < places[t])) {
        values[t] = other;
        places[t] = place;
      }
    }
    __syncthreads();
  }
  if (t == 0) out[blockIdx.x] = places[0];
}
"""
_BEST_WARP = """
// launch $k<<<ceil_div(rows, $W), dim3(32, $W)>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, long long* out, int rows, int cols) {
  int r = blockIdx.x * $W + threadIdx.y;
  if (r >= rows) return;
  float value = $identity;
  int best = 0x7fffffff;
  for (int c = threadIdx.x; c < cols; c += 32) {
    float u = x[(size_t)r * cols + c];
    if (u $better value || best == 0x7fffffff) {
      value = u;
      best = c;
    }
  }
  for (int d = 16; d > 0; d >>= 1) {
    float other = __shfl_down_sync(0xffffffff, value, d);
    int place = __shfl_down_sync(0xffffffff, best, d);
    if (other $better value || (other == value && place < best)) {
      value = other;
      best = place;
    }
  }
  if (threadIdx.x == 0) out[r] = best;
}
"""


def kernels() -> Iterator[Kernel]:
    """Every kernel of a cumulative sum, an argmax or an argmin."""
    for program, at in (("cumsum", "c"), ("reverse_cumsum", "(cols - 1 - c)")):
        yield from write(program, Style.NAIVE, _SERIAL, *blocks(64, 128, at=at))
        yield from write(program, Style.GRID_STRIDE, _STRIDE, {"at": at, "G": 64})
        yield from write(program, Style.SHUFFLES, _WARP, *blocks(128, 64, at=at))
        yield from write(program, Style.TILED, _BLOCK, *blocks(128, 64, at=at))
        yield from write(program, Style.TILED, _TWO_BUFFERS, *blocks(128, 256, at=at))
        yield from write(program, Style.PARTIALS, _CHUNKS, *({"at": at, "S": s} for s in (8, 16)))
    for program, better, identity in (("argmax", ">", "-INFINITY"), ("argmin", "<", "INFINITY")):
        values = {"better": better, "identity": identity}
        yield from write(program, Style.NAIVE, _BEST_SERIAL, *blocks(64, 128, **values))
        yield from write(program, Style.TILED, _BEST_TREE, *blocks(128, 256, **values))
        yield from write(program, Style.SHUFFLES, _BEST_WARP, *blocks(128, 256, **values))
