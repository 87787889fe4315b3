"""Kernels that fold every row (or column) of a matrix into one number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.judge.kernels.text import Kernel, Style, blocks, write


@dataclass(frozen=True)
class _Fold:
    """`identity`, what an element `u` adds (`term`), how two partial results `a` and `b` join, and the `result`."""

    program: str
    identity: str
    term: str
    join: str
    result: str = "a"
    linear: bool = True
    """Whether partial results may be finished first and added then."""
    type: str = "float"


_SUM, _MAX = "a + b", "fmaxf(a, b)"
_FOLDS = (
    _Fold("row_sum", "0.f", "u", _SUM),
    _Fold("row_max", "-INFINITY", "u", _MAX, linear=False),
    _Fold("mean_square", "0.f", "u * u", _SUM, "a / cols"),
    _Fold("mean_abs", "0.f", "fabsf(u)", _SUM, "a / cols"),
    _Fold("row_norm", "0.f", "u * u", _SUM, "sqrtf(a)", linear=False),
    _Fold("row_sum_half", "0.f", "u", _SUM, type="half"),
)

_NAIVE = """
// launch $k<<<ceil_div(rows, $B), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const $T* x, $T* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  float a = $identity;
  for (int c = 0; c < cols; ++c) {
    float u = x[r * cols + c];
    float b = $term;
    a = $join;
  }
  out[r] = $result;
}
"""
_STRIDE = """
// launch $k<<<min(ceil_div(rows, $B), $G), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const $T* x, $T* out, int rows, int cols) {
  for (int r = blockIdx.x * blockDim.x + threadIdx.x; r < rows; r += gridDim.x * blockDim.x) {
    const $T* row = x + (size_t)r * cols;
    float a = $identity;
    for (int c = 0; c < cols; ++c) {
      float u = row[c];
      float b = $term;
      a = $join;
    }
    out[r] = $result;
  }
}
"""
_TREE = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const $T* x, $T* out, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  const $T* row = x + (size_t)blockIdx.x * cols;
  float a = $identity;
  for (int c = t; c < cols; c += blockDim.x) {
    float u = row[c];
    float b = $term;
    a = $join;
  }
  part[t] = a;
  __syncthreads();
  for (int s = blockDim.x / 2; s > 0; s >>= 1) {
    if (t < s) {
      float a = part[t];
      float b = part[t + s];
      part[t] = $join;
    }
    __syncthreads();
  }
  if (t == 0) {
    float a = part[0];
    out[blockIdx.x] = $result;
  }
}
"""
_DYNAMIC_TREE = _TREE.replace("<<<rows, $B>>>", "<<<rows, $B, $B * 4>>>").replace(
    "__shared__ float part[$B];", "extern __shared__ float part[];"
)
_SHUFFLES = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const $T* x, $T* out, int cols) {
  __shared__ float part[$W];
  int lane = threadIdx.x & 31;
  int warp = threadIdx.x >> 5;
  float a = $identity;
  for (int c = threadIdx.x; c < cols; c += $B) {
    float u = x[(size_t)blockIdx.x * cols + c];
    float b = $term;
    a = $join;
  }
  for (int d = 16; d > 0; d >>= 1) {
    float b = __shfl_down_sync(0xffffffff, a, d);
    a = $join;
  }
  if (lane == 0) part[warp] = a;
  __syncthreads();
  if (warp == 0) {
    a = lane < $W ? part[lane] : $identity;
    for (int d = 16; d > 0; d >>= 1) {
      float b = __shfl_down_sync(0xffffffff, a, d);
      a = $join;
    }
    if (lane == 0) out[blockIdx.x] = $result;
  }
}
"""
_WARP_ROWS = """
// launch $k<<<ceil_div(rows, $W), dim3(32, $W)>>>(x, out, rows, cols)
extern "C" __global__ void $k(const $T* x, $T* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.y + threadIdx.y;
  if (r >= rows) return;
  float a = $identity;
  for (int c = threadIdx.x; c < cols; c += 32) {
    float u = x[r * cols + c];
    float b = $term;
    a = $join;
  }
  for (int d = 16; d > 0; d /= 2) {
    float b = __shfl_xor_sync(0xffffffff, a, d);
    a = $join;
  }
  if (threadIdx.x == 0) out[r] = $result;
}
"""
_VECTOR = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  const float* row = x + (size_t)blockIdx.x * cols;
  int vectors = cols % 4 == 0 ? cols / 4 : 0;
  float a = $identity;
  for (int q = t; q < vectors; q += $B) {
    float4 four = reinterpret_cast<const float4*>(row)[q];
    float lanes[4] = {four.x, four.y, four.z, four.w};
    for (int l = 0; l < 4; ++l) {
      float u = lanes[l];
      float b = $term;
      a = $join;
    }
  }
  for (int c = vectors * 4 + t; c < cols; c += $B) {
    float u = row[c];
    float b = $term;
    a = $join;
  }
  part[t] = a;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) {
      float a = part[t];
      float b = part[t + s];
      part[t] = $join;
    }
    __syncthreads();
  }
  if (t == 0) {
    float a = part[0];
    out[blockIdx.x] = $result;
  }
}
"""
_REGISTERS = """
// launch $k<<<ceil_div(rows, $B), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const $T* x, $T* out, int rows, int cols) {
  int r = blockIdx.x * $B + threadIdx.x;
  if (r >= rows) return;
  float lanes[$I];
  #pragma unroll
  for (int j = 0; j < $I; ++j) {
    lanes[j] = $identity;
  }
  for (int first = 0; first < cols; first += $I) {
    #pragma unroll
    for (int j = 0; j < $I; ++j) {
      if (first + j < cols) {
        float u = x[r * cols + first + j];
        float a = lanes[j];
        float b = $term;
        lanes[j] = $join;
      }
    }
  }
  float a = lanes[0];
  #pragma unroll
  for (int j = 1; j < $I; ++j) {
    float b = lanes[j];
    a = $join;
  }
  out[r] = $result;
}
"""
_PARTIALS = """
// scratch partial float32[rows * $S]
// launch $k<<<dim3(rows, $S), $B>>>(x, partial, cols)
// launch finish<<<ceil_div(rows, 64), 64>>>(partial, out, rows, cols)
extern "C" __global__ void $k(const $T* x, float* partial, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  float a = $identity;
  for (int c = blockIdx.y * $B + t; c < cols; c += $S * $B) {
    float u = x[(size_t)blockIdx.x * cols + c];
    float b = $term;
    a = $join;
  }
  part[t] = a;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) {
      float a = part[t];
      float b = part[t + s];
      part[t] = $join;
    }
    __syncthreads();
  }
  if (t == 0) partial[blockIdx.x * $S + blockIdx.y] = part[0];
}
extern "C" __global__ void finish(const float* partial, $T* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r < rows) {
    float a = $identity;
    for (int j = 0; j < $S; ++j) {
      float b = partial[r * $S + j];
      a = $join;
    }
    out[r] = $result;
  }
}
"""
_ATOMICS = """
// launch clear<<<ceil_div(rows, 128), 128>>>(out, rows)
// launch $k<<<dim3(rows, $S), $B>>>(x, out, cols)
extern "C" __global__ void clear(float* out, int rows) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r < rows) out[r] = 0.f;
}
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  float a = 0.f;
  for (int c = blockIdx.y * $B + threadIdx.x; c < cols; c += $S * $B) {
    float u = x[(size_t)blockIdx.x * cols + c];
    float b = $term;
    a = $join;
  }
  for (int d = 16; d > 0; d >>= 1) {
    float b = __shfl_down_sync(0xffffffff, a, d);
    a = $join;
  }
  if ((threadIdx.x & 31) == 0) {
    atomicAdd(&out[blockIdx.x], $result);
  }
}
"""
_ATOMIC_MAX = """
// launch clear<<<ceil_div(rows, 128), 128>>>(out, rows)
// launch $k<<<dim3(rows, $S), $B>>>(x, out, cols)
extern "C" __global__ void clear(float* out, int rows) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r < rows) out[r] = -INFINITY;
}
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  float a = -INFINITY;
  for (int c = blockIdx.y * $B + threadIdx.x; c < cols; c += $S * $B) {
    a = fmaxf(a, x[(size_t)blockIdx.x * cols + c]);
  }
  for (int d = 16; d > 0; d >>= 1) a = fmaxf(a, __shfl_down_sync(0xffffffff, a, d));
  if ((threadIdx.x & 31) == 0 && a > -INFINITY) {
    if (a >= 0.f) atomicMax((int*)&out[blockIdx.x], __float_as_int(a));
    else atomicMin((unsigned*)&out[blockIdx.x], __float_as_uint(a));
  }
}
"""
_SWAP_MAX = """
// launch clear<<<ceil_div(cols, 128), 128>>>(out, cols)
// launch $k<<<dim3(ceil_div(cols, $B), $S), $B>>>(x, out, rows, cols)
__device__ void raise(float* address, float value) {
  int* word = (int*)address;
  int old = atomicAdd(word, 0);
  while (__int_as_float(old) < value) {
    int seen = old;
    old = atomicCAS(word, seen, __float_as_int(value));
    if (old == seen) break;
  }
}
extern "C" __global__ void clear(float* out, int cols) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c < cols) out[c] = -INFINITY;
}
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int c = blockIdx.x * $B + threadIdx.x;
  if (c >= cols) return;
  float a = -INFINITY;
  for (int r = blockIdx.y; r < rows; r += $S) {
    a = fmaxf(a, x[r * cols + c]);
  }
  raise(&out[c], a);
}
"""
_LAST_BLOCK = """
// scratch partial float32[rows * $S]
// scratch ticket int32[rows]
// launch clear<<<ceil_div(rows, 128), 128>>>(ticket, rows)
// launch $k<<<dim3(rows, $S), $B>>>(x, partial, ticket, out, cols)
extern "C" __global__ void clear(int* ticket, int rows) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r < rows) ticket[r] = 0;
}
extern "C" __global__ void $k(const float* x, volatile float* partial, int* ticket, float* out, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  float a = $identity;
  for (int c = blockIdx.y * $B + t; c < cols; c += $S * $B) {
    float u = x[(size_t)blockIdx.x * cols + c];
    float b = $term;
    a = $join;
  }
  part[t] = a;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) {
      float a = part[t];
      float b = part[t + s];
      part[t] = $join;
    }
    __syncthreads();
  }
  if (t == 0) {
    partial[blockIdx.x * $S + blockIdx.y] = part[0];
    __threadfence();
    int drawn = atomicAdd(&ticket[blockIdx.x], 1);
    if (drawn == $S - 1) {
      __threadfence();
      float a = $identity;
      for (int j = 0; j < $S; ++j) {
        float b = partial[blockIdx.x * $S + j];
        a = $join;
      }
      out[blockIdx.x] = $result;
    }
  }
}
"""
_GROUPS = """
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const $T* x, $T* out, int cols) {
  cg::thread_block block = cg::this_thread_block();
  auto tile = cg::tiled_partition<32>(block);
  __shared__ float part[$W];
  float a = $identity;
  for (int c = block.thread_rank(); c < cols; c += block.size()) {
    float u = x[(size_t)blockIdx.x * cols + c];
    float b = $term;
    a = $join;
  }
  for (int d = tile.size() / 2; d > 0; d /= 2) {
    float b = tile.shfl_down(a, d);
    a = $join;
  }
  if (tile.thread_rank() == 0) part[block.thread_rank() / 32] = a;
  block.sync();
  if (block.thread_rank() == 0) {
    a = part[0];
    for (int j = 1; j < $W; ++j) {
      float b = part[j];
      a = $join;
    }
    out[blockIdx.x] = $result;
  }
}
"""
_ONLINE = """
// launch $k<<<ceil_div(rows, $B), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  float m = -INFINITY;
  float s = 0.f;
  for (int c = 0; c < cols; ++c) {
    float u = x[r * cols + c];
    float higher = fmaxf(m, u);
    s = s * expf(m - higher) + expf(u - higher);
    m = higher;
  }
  out[r] = m + logf(s);
}
"""
_ONLINE_BLOCK = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  __shared__ float highest[$B];
  __shared__ float total[$B];
  int t = threadIdx.x;
  float m = -FLT_MAX;
  float s = 0.f;
  for (int c = t; c < cols; c += $B) {
    float u = x[(size_t)blockIdx.x * cols + c];
    if (u > m) {
      s = s * expf(m - u) + 1.f;
      m = u;
    } else {
      s += expf(u - m);
    }
  }
  highest[t] = m;
  total[t] = s;
  __syncthreads();
  for (int h = $B / 2; h > 0; h >>= 1) {
    if (t < h) {
      float top = fmaxf(highest[t], highest[t + h]);
      total[t] = total[t] * expf(highest[t] - top) + total[t + h] * expf(highest[t + h] - top);
      highest[t] = top;
    }
    __syncthreads();
  }
  if (t == 0) out[blockIdx.x] = highest[0] + logf(total[0]);
}
"""
_TWO_PASSES = """
// launch $k<<<ceil_div(rows, $W), dim3(32, $W)>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int r = blockIdx.x * $W + threadIdx.y;
  if (r >= rows) return;
  float m = -INFINITY;
  for (int c = threadIdx.x; c < cols; c += 32) {
    m = fmaxf(m, x[r * cols + c]);
  }
  for (int d = 16; d > 0; d >>= 1) m = fmaxf(m, __shfl_xor_sync(0xffffffff, m, d));
  float s = 0.f;
  for (int c = threadIdx.x; c < cols; c += 32) {
    s += expf(x[r * cols + c] - m);
  }
  for (int d = 16; d > 0; d >>= 1) s += __shfl_xor_sync(0xffffffff, s, d);
  if (threadIdx.x == 0) out[r] = m + logf(s);
}
"""
_COLUMNS = """
// launch $k<<<ceil_div(cols, $B), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c < cols) {
    float a = $identity;
    for (int r = 0; r < rows; ++r) {
      float b = x[r * cols + c];
      a = $join;
    }
    out[c] = a;
  }
}
"""
_COLUMNS_TILED = """
// launch $k<<<ceil_div(cols, 32), dim3(32, $Y)>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  __shared__ float part[$Y][32];
  int c = blockIdx.x * 32 + threadIdx.x;
  float a = $identity;
  if (c < cols) {
    for (int r = threadIdx.y; r < rows; r += $Y) {
      float b = x[r * cols + c];
      a = $join;
    }
  }
  part[threadIdx.y][threadIdx.x] = a;
  __syncthreads();
  if (threadIdx.y == 0 && c < cols) {
    for (int j = 1; j < $Y; ++j) {
      float b = part[j][threadIdx.x];
      a = $join;
    }
    out[c] = a;
  }
}
"""
_COLUMNS_ATOMIC = """
// launch clear<<<ceil_div(cols, 256), 256>>>(out, cols)
// launch $k<<<dim3(ceil_div(cols, $B), $S), $B>>>(x, out, rows, cols)
extern "C" __global__ void clear(float* out, int cols) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c < cols) out[c] = 0.f;
}
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int c = blockIdx.x * $B + threadIdx.x;
  if (c >= cols) return;
  float a = 0.f;
  for (int r = blockIdx.y; r < rows; r += $S) {
    a += x[r * cols + c];
  }
  atomicAdd(&out[c], a);
}
"""


def kernels() -> Iterator[Kernel]:
    """Every kernel of a row or column reduction."""
    for fold in _FOLDS:
        yield from _of_fold(fold)
    yield from write("logsumexp", Style.ONLINE, _ONLINE, *blocks(64, 128, 256))
    yield from write("logsumexp", Style.TILED, _ONLINE_BLOCK, *blocks(128, 256, 64))
    yield from write("logsumexp", Style.SHUFFLES, _TWO_PASSES, *blocks(128, 256))
    for program, identity, join in (("column_sum", "0.f", _SUM), ("column_max", "-INFINITY", _MAX)):
        values = {"identity": identity, "join": join}
        yield from write(program, Style.NAIVE, _COLUMNS, *blocks(128, 256, **values))
        yield from write(program, Style.TILED, _COLUMNS_TILED, *({**values, "Y": y} for y in (8, 16, 32)))
    yield from write("row_max", Style.ATOMICS, _ATOMIC_MAX, *blocks(128, S=4), *blocks(64, S=2))
    yield from write("column_max", Style.ATOMICS, _SWAP_MAX, *blocks(128, S=4), *blocks(64, S=8))
    yield from write("column_sum", Style.ATOMICS, _COLUMNS_ATOMIC, *blocks(128, 256, S=4), *blocks(64, S=16))


def _of_fold(fold: _Fold) -> Iterator[Kernel]:
    values = {
        "identity": fold.identity, "term": fold.term, "join": fold.join, "result": fold.result, "T": fold.type,
    }  # fmt: skip
    yield from write(fold.program, Style.NAIVE, _header(fold, _NAIVE), *blocks(64, 256, **values))
    yield from write(fold.program, Style.GRID_STRIDE, _header(fold, _STRIDE), *blocks(128, G=32, **values))
    yield from write(fold.program, Style.TILED, _header(fold, _TREE), *blocks(256, 64, **values))
    yield from write(fold.program, Style.TILED, _header(fold, _DYNAMIC_TREE), *blocks(128, **values))
    yield from write(fold.program, Style.SHUFFLES, _header(fold, _SHUFFLES), *blocks(256, 128, **values))
    yield from write(fold.program, Style.SHUFFLES, _header(fold, _WARP_ROWS), *blocks(128, **values))
    yield from write(fold.program, Style.REGISTERS, _header(fold, _REGISTERS), *blocks(64, I=4, **values))
    yield from write(fold.program, Style.PARTIALS, _header(fold, _PARTIALS), *blocks(128, S=8, **values))
    yield from write(fold.program, Style.GROUPS, _header(fold, _GROUPS), *blocks(128, **values))
    if fold.type == "float":
        yield from write(fold.program, Style.VECTOR, _VECTOR, *blocks(128, 256, **values))
        yield from write(fold.program, Style.LAST_BLOCK, _LAST_BLOCK, *blocks(64, S=4, **values))
        if fold.linear:
            yield from write(fold.program, Style.ATOMICS, _ATOMICS, *blocks(128, S=4, **values))


def _header(fold: _Fold, template: str) -> str:
    if fold.type == "float":
        return template
    converted = template.replace("float u = x[", "float u = (float)x[").replace(
        "float u = row[", "float u = (float)row["
    )
    for target in ("out[r]", "out[blockIdx.x]"):
        converted = converted.replace(f"{target} = $result;", f"{target} = __float2half($result);")
    return "#include <cuda_fp16.h>\n" + converted.lstrip("\n")
