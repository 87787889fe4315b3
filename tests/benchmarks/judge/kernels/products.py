"""Matrix products: naive, tiled, register-blocked, vectorised, split over k; and the transpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.judge.kernels.text import Kernel, Style, blocks, write


@dataclass(frozen=True)
class _Product:
    """How element (i, p) of the left factor and (p, j) of the right one are found, and what becomes of sum `a`."""

    program: str
    left: str = "x[{i} * k + {p}]"
    right: str = "y[{p} * n + {j}]"
    value: str = "a"
    arguments: str = "x, y"
    parameters: str = "const float* x, const float* y"
    type: str = "float"


_PRODUCTS = (
    _Product("matmul"),
    _Product("matmul_tn", left="x[{p} * m + {i}]"),
    _Product(
        "linear_relu", right="layer_weight[{j} * k + {p}]", value="fmaxf(a + layer_bias[j], 0.f) * 0.5f",
        arguments="x, layer_weight, layer_bias",
        parameters="const float* x, const float* layer_weight, const float* layer_bias",
    ),
    _Product(
        "matmul_half", "__half2float(x[{i} * k + {p}])", "__half2float(y[{p} * n + {j}])", "__float2half(a)",
        parameters="const half* x, const half* y", type="half",
    ),
    _Product(
        "matmul_bfloat", "__bfloat162float(x[{i} * k + {p}])", "__bfloat162float(y[{p} * n + {j}])",
        "__float2bfloat16(a)", parameters="const __nv_bfloat16* x, const __nv_bfloat16* y", type="__nv_bfloat16",
    ),
)  # fmt: skip
_INCLUDE = {"float": "", "half": "#include <cuda_fp16.h>\n", "__nv_bfloat16": "#include <cuda_bf16.h>\n"}

_NAIVE = """
$include// launch $k<<<dim3(ceil_div(n, $X), ceil_div(m, $Y)), dim3($X, $Y)>>>($arguments, out, m, n, k)
extern "C" __global__ void $k($parameters, $T* out, int m, int n, int k) {
  int j = blockIdx.x * blockDim.x + threadIdx.x;
  int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (i < m && j < n) {
    float a = 0.f;
    for (int p = 0; p < k; ++p) {
      a += $left_ip * $right_pj;
    }
    out[i * n + j] = $value;
  }
}
"""
_STRIDE = """
$include// launch $k<<<min(ceil_div(m * n, $B), $G), $B>>>($arguments, out, m, n, k)
extern "C" __global__ void $k($parameters, $T* out, int m, int n, int k) {
  for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < m * n; e += gridDim.x * blockDim.x) {
    int i = e / n;
    int j = e % n;
    float a = 0.f;
    for (int p = 0; p < k; ++p) {
      a += $left_ip * $right_pj;
    }
    out[e] = $value;
  }
}
"""
_TILED = """
$include// launch $k<<<dim3(ceil_div(n, $X), ceil_div(m, $X)), dim3($X, $X)>>>($arguments, out, m, n, k)
extern "C" __global__ void $k($parameters, $T* out, int m, int n, int k) {
  __shared__ float left[$X][$X];
  __shared__ float right[$X][$X];
  int tx = threadIdx.x;
  int ty = threadIdx.y;
  int j = blockIdx.x * $X + tx;
  int i = blockIdx.y * $X + ty;
  float a = 0.f;
  for (int first = 0; first < k; first += $X) {
    left[ty][tx] = i < m && first + tx < k ? $left_tile : 0.f;
    right[ty][tx] = j < n && first + ty < k ? $right_tile : 0.f;
    __syncthreads();
    #pragma unroll
    for (int p = 0; p < $X; ++p) {
      a += left[ty][p] * right[p][tx];
    }
    __syncthreads();
  }
  if (i < m && j < n) {
    out[i * n + j] = $value;
  }
}
"""
_REGISTERS = """
$include// launch $k<<<dim3(ceil_div(n, 32), ceil_div(m, 32)), dim3(8, 8)>>>($arguments, out, m, n, k)
extern "C" __global__ void $k($parameters, $T* out, int m, int n, int k) {
  __shared__ float left[32][$P];
  __shared__ float right[$P][32];
  int t = threadIdx.y * 8 + threadIdx.x;
  int i0 = blockIdx.y * 32;
  int j0 = blockIdx.x * 32;
  float sums[4][4];
  for (int u = 0; u < 4; ++u) {
    for (int v = 0; v < 4; ++v) sums[u][v] = 0.f;
  }
  for (int first = 0; first < k; first += $P) {
    for (int e = t; e < 32 * $P; e += 64) {
      int i = i0 + e / $P;
      int p = first + e % $P;
      left[e / $P][e % $P] = i < m && p < k ? $left_ip : 0.f;
    }
    for (int e = t; e < $P * 32; e += 64) {
      int p = first + e / 32;
      int j = j0 + e % 32;
      right[e / 32][e % 32] = j < n && p < k ? $right_pj : 0.f;
    }
    __syncthreads();
    for (int p = 0; p < $P; ++p) {
      float ls[4];
      float rs[4];
      for (int u = 0; u < 4; ++u) ls[u] = left[threadIdx.y * 4 + u][p];
      for (int v = 0; v < 4; ++v) rs[v] = right[p][threadIdx.x * 4 + v];
      for (int u = 0; u < 4; ++u) {
        for (int v = 0; v < 4; ++v) sums[u][v] += ls[u] * rs[v];
      }
    }
    __syncthreads();
  }
  for (int u = 0; u < 4; ++u) {
    for (int v = 0; v < 4; ++v) {
      int i = i0 + threadIdx.y * 4 + u;
      int j = j0 + threadIdx.x * 4 + v;
      float a = sums[u][v];
      if (i < m && j < n) out[i * n + j] = $value;
    }
  }
}
"""
_VECTOR = """
// launch $k<<<dim3(ceil_div(n, 128), m), 32>>>(x, y, out, m, n, k)
extern "C" __global__ void $k(const float* x, const float* y, float* out, int m, int n, int k) {
  int i = blockIdx.y;
  int j = (blockIdx.x * 32 + threadIdx.x) * 4;
  if (j >= n) return;
  float4 a = make_float4(0.f, 0.f, 0.f, 0.f);
  if (n % 4 == 0) {
    for (int p = 0; p < k; ++p) {
      float l = $left_ip;
      float4 r = *reinterpret_cast<const float4*>(&y[p * n + j]);
      a.x += l * r.x;
      a.y += l * r.y;
      a.z += l * r.z;
      a.w += l * r.w;
    }
    *reinterpret_cast<float4*>(&out[i * n + j]) = a;
  } else {
    for (int e = j; e < min(j + 4, n); ++e) {
      float s = 0.f;
      for (int p = 0; p < k; ++p) {
        s += $left_ip * y[p * n + e];
      }
      out[i * n + e] = s;
    }
  }
}
"""
_SPLIT_ATOMIC = """
// launch clear<<<ceil_div(m * n, 256), 256>>>(out, m * n)
// launch $k<<<dim3(ceil_div(n, $X), ceil_div(m, $X), $S), dim3($X, $X)>>>(x, y, out, m, n, k)
extern "C" __global__ void clear(float* out, int count) {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e < count) out[e] = 0.f;
}
extern "C" __global__ void $k(const float* x, const float* y, float* out, int m, int n, int k) {
  int j = blockIdx.x * $X + threadIdx.x;
  int i = blockIdx.y * $X + threadIdx.y;
  if (i >= m || j >= n) return;
  float a = 0.f;
  for (int p = blockIdx.z; p < k; p += $S) {
    a += $left_ip * $right_pj;
  }
  atomicAdd(&out[i * n + j], a);
}
"""
_SPLIT_PARTIALS = """
// scratch partial float32[$S * m * n]
// launch $k<<<dim3(ceil_div(n, $X), ceil_div(m, $X), $S), dim3($X, $X)>>>(x, y, partial, m, n, k)
// launch finish<<<ceil_div(m * n, 128), 128>>>(partial, out, m * n)
extern "C" __global__ void $k(const float* x, const float* y, float* partial, int m, int n, int k) {
  int j = blockIdx.x * $X + threadIdx.x;
  int i = blockIdx.y * $X + threadIdx.y;
  if (i >= m || j >= n) return;
  int each = (k + $S - 1) / $S;
  int last = min(k, (int)(blockIdx.z + 1) * each);
  float a = 0.f;
  for (int p = blockIdx.z * each; p < last; ++p) {
    a += $left_ip * $right_pj;
  }
  partial[((size_t)blockIdx.z * m + i) * n + j] = a;
}
extern "C" __global__ void finish(const float* partial, float* out, int count) {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= count) return;
  float a = 0.f;
  for (int s = 0; s < $S; ++s) {
    a += partial[(size_t)s * count + e];
  }
  out[e] = a;
}
"""
_MATVEC_NAIVE = """
// launch $k<<<ceil_div(rows, $B), $B>>>(x, y, out, rows, cols)
extern "C" __global__ void $k(const float* x, const float* y, float* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r < rows) {
    float a = 0.f;
    for (int c = 0; c < cols; ++c) {
      a += x[r * cols + c] * y[c];
    }
    out[r] = a;
  }
}
"""
_MATVEC_WARP = """
// launch $k<<<ceil_div(rows, $W), dim3(32, $W)>>>(x, y, out, rows, cols)
extern "C" __global__ void $k(const float* x, const float* y, float* out, int rows, int cols) {
  int r = blockIdx.x * $W + threadIdx.y;
  if (r >= rows) return;
  float a = 0.f;
  for (int c = threadIdx.x; c < cols; c += 32) {
    a += x[r * cols + c] * y[c];
  }
  for (int d = 16; d > 0; d >>= 1) a += __shfl_down_sync(0xffffffff, a, d);
  if (threadIdx.x == 0) out[r] = a;
}
"""
_MATVEC_STAGED = """
// launch $k<<<ceil_div(rows, $B), $B, $B * 4>>>(x, y, out, rows, cols)
extern "C" __global__ void $k(const float* x, const float* y, float* out, int rows, int cols) {
  extern __shared__ float part[];
  int r = blockIdx.x * $B + threadIdx.x;
  float a = 0.f;
  for (int first = 0; first < cols; first += $B) {
    int c = first + threadIdx.x;
    part[threadIdx.x] = c < cols ? y[c] : 0.f;
    __syncthreads();
    if (r < rows) {
      int count = min($B, cols - first);
      for (int p = 0; p < count; ++p) {
        a += x[r * cols + first + p] * part[p];
      }
    }
    __syncthreads();
  }
  if (r < rows) out[r] = a;
}
"""
_TRANSPOSE = """
// launch $k<<<dim3(ceil_div(cols, $X), ceil_div(rows, $Y)), dim3($X, $Y)>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  int r = blockIdx.y * blockDim.y + threadIdx.y;
  if (r < rows && c < cols) {
    out[c * rows + r] = x[r * cols + c];
  }
}
"""
_TRANSPOSE_TILED = """
// launch $k<<<dim3(ceil_div(cols, 32), ceil_div(rows, 32)), dim3(32, $Y)>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  __shared__ float tile[32][33];
  int c = blockIdx.x * 32 + threadIdx.x;
  for (int j = threadIdx.y; j < 32; j += $Y) {
    int r = blockIdx.y * 32 + j;
    if (r < rows && c < cols) tile[j][threadIdx.x] = x[r * cols + c];
  }
  __syncthreads();
  int r = blockIdx.y * 32 + threadIdx.x;
  for (int j = threadIdx.y; j < 32; j += $Y) {
    int c = blockIdx.x * 32 + j;
    if (r < rows && c < cols) out[c * rows + r] = tile[threadIdx.x][j];
  }
}
"""
_TRANSPOSE_STRIDE = """
// launch $k<<<min(ceil_div(numel(x), $B), 128), $B>>>(x, out, rows, cols)
extern "C" __global__ void $k(const float* x, float* out, int rows, int cols) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < rows * cols; i += gridDim.x * blockDim.x) {
    out[i] = x[(i % rows) * cols + i / rows];
  }
}
"""


def kernels() -> Iterator[Kernel]:
    """Every kernel of a product or a transpose."""
    for product in _PRODUCTS:
        yield from _of_product(product)
    yield from write("matvec", Style.NAIVE, _MATVEC_NAIVE, *blocks(64, 128, 256))
    yield from write("matvec", Style.SHUFFLES, _MATVEC_WARP, *blocks(128, 256, 64))
    yield from write("matvec", Style.TILED, _MATVEC_STAGED, *blocks(64, 128, 256))
    yield from write(
        "transpose", Style.NAIVE, _TRANSPOSE, *({"X": x, "Y": y} for x, y in ((32, 8), (16, 16), (8, 32)))
    )
    yield from write("transpose", Style.TILED, _TRANSPOSE_TILED, *({"Y": y} for y in (8, 16, 32)))
    yield from write("transpose", Style.GRID_STRIDE, _TRANSPOSE_STRIDE, *blocks(128, 256))


def _of_product(product: _Product) -> Iterator[Kernel]:
    values = {
        "include": _INCLUDE[product.type],
        "arguments": product.arguments,
        "parameters": product.parameters,
        "T": product.type,
        "left_ip": product.left.format(i="i", p="p"),
        "right_pj": product.right.format(p="p", j="j"),
        "left_tile": product.left.format(i="i", p="(first + tx)"),
        "right_tile": product.right.format(p="(first + ty)", j="j"),
        "value": product.value,
    }
    sides = ((16, 16), (32, 8))
    yield from write(product.program, Style.NAIVE, _NAIVE, *({**values, "X": x, "Y": y} for x, y in sides))
    yield from write(product.program, Style.GRID_STRIDE, _STRIDE, *blocks(128, 256, G=96, **values))
    yield from write(product.program, Style.TILED, _TILED, *({**values, "X": x} for x in (16, 8, 32)))
    yield from write(product.program, Style.REGISTERS, _REGISTERS, *({**values, "P": p} for p in (8, 16)))
    if product.type == "float" and product.value == "a":
        yield from write(product.program, Style.VECTOR, _VECTOR, values)
        for style, template in ((Style.ATOMICS, _SPLIT_ATOMIC), (Style.PARTIALS, _SPLIT_PARTIALS)):
            yield from write(product.program, style, template, *({**values, "X": 16, "S": s} for s in (3, 4)))
