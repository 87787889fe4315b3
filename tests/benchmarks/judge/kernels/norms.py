"""Kernels that need a whole row for each of its elements: softmax and the norms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.judge.kernels.text import Kernel, Style, blocks, write


@dataclass(frozen=True)
class _Norm:
    """Two folds over the row, `p` and then `q` (each a term of `u`), and the output `value` of `u`, p and q."""

    program: str
    first: tuple[str, str, str] | None
    """Identity, term and join of `a` and `b`."""
    second: tuple[str, str, str]
    value: str
    parameters: str = ""
    arguments: str = ""
    type: str = "float"


_SUM = "a + b"
_SOFT_MAX = ("-INFINITY", "u", "fmaxf(a, b)")
_NORMS = (
    _Norm("softmax", _SOFT_MAX, ("0.f", "expf(u - p)", _SUM), "expf(u - p) / q"),
    _Norm("log_softmax", _SOFT_MAX, ("0.f", "expf(u - p)", _SUM), "u - p - logf(q)"),
    _Norm("softmax_bfloat", _SOFT_MAX, ("0.f", "expf(u - p)", _SUM), "expf(u - p) / q", type="__nv_bfloat16"),
    _Norm("rms_norm", None, ("0.f", "u * u", _SUM), "u * rsqrtf(q / cols + 1e-5f)"),
    _Norm("unit_rows", None, ("0.f", "u * u", _SUM), "u / fmaxf(sqrtf(q), 1e-12f)"),
    _Norm(
        "layer_norm", ("0.f", "u / cols", _SUM), ("0.f", "(u - p) * (u - p)", _SUM),
        "(u - p) * rsqrtf(q / cols + 1e-5f) * layer_weight[c] + layer_bias[c]",
        "const float* layer_weight, const float* layer_bias, ", "layer_weight, layer_bias, ",
    ),
)  # fmt: skip

_NAIVE_FOLD = """
  float $name = $identity;
  for (int c = 0; c < cols; ++c) {
    float u = row[c];
    float a = $name;
    float b = $term;
    $name = $join;
  }"""
_NAIVE = """
// launch $k<<<ceil_div(rows, $B), $B>>>(x, ${arguments}out, rows, cols)
extern "C" __global__ void $k(const $T* x, ${parameters}$T* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  const $T* row = x + (size_t)r * cols;$folds
  for (int c = 0; c < cols; ++c) {
    float u = row[c];
    out[r * cols + c] = $value;
  }
}
"""
_TREE_FOLD = """
  float $name = $identity;
  for (int c = t; c < cols; c += $B) {
    float u = row[c];
    float a = $name;
    float b = $term;
    $name = $join;
  }
  part[t] = $name;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) {
      float a = part[t];
      float b = part[t + s];
      part[t] = $join;
    }
    __syncthreads();
  }
  $name = part[0];
  __syncthreads();"""
_TREE = """
// launch $k<<<rows, $B>>>(x, ${arguments}out, cols)
extern "C" __global__ void $k(const $T* x, ${parameters}$T* out, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  const $T* row = x + (size_t)blockIdx.x * cols;$folds
  for (int c = t; c < cols; c += $B) {
    float u = row[c];
    out[(size_t)blockIdx.x * cols + c] = $value;
  }
}
"""
_STRIDE_TREE = """
// launch $k<<<min(rows, $G), $B>>>(x, ${arguments}out, rows, cols)
extern "C" __global__ void $k(const $T* x, ${parameters}$T* out, int rows, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  for (int r = blockIdx.x; r < rows; r += gridDim.x) {
  const $T* row = x + (size_t)r * cols;$folds
  for (int c = t; c < cols; c += $B) {
    float u = row[c];
    out[(size_t)r * cols + c] = $value;
  }
  }
}
"""
_WARP_FOLD = """
  float $name = $identity;
  for (int c = threadIdx.x; c < cols; c += 32) {
    float u = row[c];
    float a = $name;
    float b = $term;
    $name = $join;
  }
  for (int d = 16; d > 0; d >>= 1) {
    float a = $name;
    float b = __shfl_xor_sync(0xffffffff, $name, d);
    $name = $join;
  }"""
_WARP = """
// launch $k<<<ceil_div(rows, $W), dim3(32, $W)>>>(x, ${arguments}out, rows, cols)
extern "C" __global__ void $k(const $T* x, ${parameters}$T* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.y + threadIdx.y;
  if (r >= rows) return;
  const $T* row = x + (size_t)r * cols;$folds
  for (int c = threadIdx.x; c < cols; c += 32) {
    float u = row[c];
    out[(size_t)r * cols + c] = $value;
  }
}
"""
_BLOCK_FOLD = """
  float $name = $identity;
  for (int c = threadIdx.x; c < cols; c += $B) {
    float u = row[c];
    float a = $name;
    float b = $term;
    $name = $join;
  }
  for (int d = 16; d > 0; d >>= 1) {
    float a = $name;
    float b = __shfl_down_sync(0xffffffff, $name, d);
    $name = $join;
  }
  if (lane == 0) part[warp] = $name;
  __syncthreads();
  $name = part[0];
  for (int w = 1; w < $W; ++w) {
    float a = $name;
    float b = part[w];
    $name = $join;
  }
  __syncthreads();"""
_BLOCK = """
// launch $k<<<rows, $B>>>(x, ${arguments}out, cols)
extern "C" __global__ void $k(const $T* x, ${parameters}$T* out, int cols) {
  __shared__ float part[$W];
  int lane = threadIdx.x % 32;
  int warp = threadIdx.x / 32;
  const $T* row = x + (size_t)blockIdx.x * cols;$folds
  for (int c = threadIdx.x; c < cols; c += $B) {
    float u = row[c];
    out[(size_t)blockIdx.x * cols + c] = $value;
  }
}
"""
_GROUP_FOLD = """
  float $name = $identity;
  for (int c = tile.thread_rank(); c < cols; c += $L) {
    float u = row[c];
    float a = $name;
    float b = $term;
    $name = $join;
  }
  for (int d = $L / 2; d > 0; d >>= 1) {
    float a = $name;
    float b = tile.shfl_xor($name, d);
    $name = $join;
  }"""
_GROUPS = """
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
// launch $k<<<ceil_div(rows, $B / $L), $B>>>(x, ${arguments}out, rows, cols)
extern "C" __global__ void $k(const $T* x, ${parameters}$T* out, int rows, int cols) {
  cg::thread_block block = cg::this_thread_block();
  auto tile = cg::tiled_partition<$L>(block);
  int r = blockIdx.x * ($B / $L) + block.thread_rank() / $L;
  if (r >= rows) return;
  const $T* row = x + (size_t)r * cols;$folds
  for (int c = tile.thread_rank(); c < cols; c += $L) {
    float u = row[c];
    out[(size_t)r * cols + c] = $value;
  }
}
"""
_STATISTICS = """
// scratch stats float32[rows * 2]
// launch $k<<<ceil_div(rows, $B), $B>>>(x, stats, rows, cols)
// launch apply<<<ceil_div(numel(x), 256), 256>>>(x, ${arguments}stats, out, rows, cols)
extern "C" __global__ void $k(const $T* x, float* stats, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  const $T* row = x + (size_t)r * cols;$folds
  $keep
  stats[r * 2 + 1] = q;
}
extern "C" __global__ void apply(const $T* x, ${parameters}const float* stats, $T* out, int rows, int cols) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < rows * cols) {
    int r = i / cols;
    int c = i % cols;
    float u = x[i];
    $fetch
    float q = stats[r * 2 + 1];
    out[i] = $value;
  }
}
"""
_ONLINE_SOFTMAX = """
// launch $k<<<rows, 32>>>(x, out, cols)
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  const float* row = x + (size_t)blockIdx.x * cols;
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
  for (int c = threadIdx.x; c < cols; c += 32) {
    out[(size_t)blockIdx.x * cols + c] = expf(row[c] - m) / s;
  }
}
"""
_WELFORD = """
// launch $k<<<rows, 32>>>(x, layer_weight, layer_bias, out, cols)
extern "C" __global__ void $k(const float* x, const float* layer_weight, const float* layer_bias, float* out, int cols) {
  const float* row = x + (size_t)blockIdx.x * cols;
  float count = 0.f;
  float mean = 0.f;
  float m2 = 0.f;
  for (int c = threadIdx.x; c < cols; c += 32) {
    float u = row[c];
    count += 1.f;
    float delta = u - mean;
    mean += delta / count;
    m2 += delta * (u - mean);
  }
  for (int d = 16; d > 0; d >>= 1) {
    float count_b = __shfl_xor_sync(0xffffffff, count, d);
    float mean_b = __shfl_xor_sync(0xffffffff, mean, d);
    float m2_b = __shfl_xor_sync(0xffffffff, m2, d);
    float total = count + count_b;
    if (total > 0.f) {
      float delta = mean_b - mean;
      m2 += m2_b + delta * delta * count * count_b / total;
      mean = (count * mean + count_b * mean_b) / total;
      count = total;
    }
  }
  float scale = rsqrtf(m2 / cols + 1e-5f);
  for (int c = threadIdx.x; c < cols; c += 32) {
    out[(size_t)blockIdx.x * cols + c] = (row[c] - mean) * scale * layer_weight[c] + layer_bias[c];
  }
}
"""
_INSTANCE = """
// launch $k<<<batch * channels, $B>>>(x, out, height * width)
extern "C" __global__ void $k(const float* x, float* out, int area) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  const float* plane = x + (size_t)blockIdx.x * area;
  float sum = 0.f;
  for (int i = t; i < area; i += $B) {
    sum += plane[i];
  }
  part[t] = sum;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) part[t] += part[t + s];
    __syncthreads();
  }
  float mean = part[0] / area;
  __syncthreads();
  float square = 0.f;
  for (int i = t; i < area; i += $B) {
    float delta = plane[i] - mean;
    square += delta * delta;
  }
  part[t] = square;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) part[t] += part[t + s];
    __syncthreads();
  }
  float scale = rsqrtf(part[0] / area + 1e-5f);
  for (int i = t; i < area; i += $B) {
    out[(size_t)blockIdx.x * area + i] = (plane[i] - mean) * scale;
  }
}
"""
_VECTOR_RMS = """
// launch $k<<<rows, $B>>>(x, out, cols)
extern "C" __global__ void $k(const float* x, float* out, int cols) {
  __shared__ float part[$B];
  int t = threadIdx.x;
  const float* row = x + (size_t)blockIdx.x * cols;
  float* target = out + (size_t)blockIdx.x * cols;
  int vectors = cols % 4 == 0 ? cols / 4 : 0;
  float q = 0.f;
  for (int i = t; i < vectors; i += $B) {
    float4 u = reinterpret_cast<const float4*>(row)[i];
    q += u.x * u.x + u.y * u.y + u.z * u.z + u.w * u.w;
  }
  for (int c = vectors * 4 + t; c < cols; c += $B) {
    q += row[c] * row[c];
  }
  part[t] = q;
  __syncthreads();
  for (int s = $B / 2; s > 0; s >>= 1) {
    if (t < s) part[t] += part[t + s];
    __syncthreads();
  }
  float scale = rsqrtf(part[0] / cols + 1e-5f);
  for (int i = t; i < vectors; i += $B) {
    float4 u = reinterpret_cast<const float4*>(row)[i];
    reinterpret_cast<float4*>(target)[i] = make_float4(u.x * scale, u.y * scale, u.z * scale, u.w * scale);
  }
  for (int c = vectors * 4 + t; c < cols; c += $B) {
    target[c] = row[c] * scale;
  }
}
"""


def kernels() -> Iterator[Kernel]:
    """Every kernel of a softmax or a norm."""
    for norm in _NORMS:
        yield from _of_norm(norm)
    yield from write("softmax", Style.ONLINE, _ONLINE_SOFTMAX)
    yield from write("layer_norm", Style.ONLINE, _WELFORD)
    yield from write("instance_norm", Style.TILED, _INSTANCE, *blocks(64, 128, 256))
    yield from write("rms_norm", Style.VECTOR, _VECTOR_RMS, *blocks(64, 128, 256))


def _of_norm(norm: _Norm) -> Iterator[Kernel]:
    for style, template, fold, variants in (
        (Style.NAIVE, _NAIVE, _NAIVE_FOLD, blocks(64, 128)),
        (Style.TILED, _TREE, _TREE_FOLD, blocks(128, 256)),
        (Style.GRID_STRIDE, _STRIDE_TREE, _TREE_FOLD, blocks(64, G=64)),
        (Style.SHUFFLES, _WARP, _WARP_FOLD, blocks(128, 256)),
        (Style.SHUFFLES, _BLOCK, _BLOCK_FOLD, blocks(128, 512)),
        (Style.GROUPS, _GROUPS, _GROUP_FOLD, (*blocks(128, L=32), *blocks(64, L=16))),
        (Style.PARTIALS, _STATISTICS, _NAIVE_FOLD, blocks(64, 32)),
    ):
        yield from write(
            norm.program, style, _header(norm, template, fold), *({**_values(norm), **v} for v in variants)
        )


def _values(norm: _Norm) -> dict[str, object]:
    return {
        "parameters": norm.parameters,
        "arguments": norm.arguments,
        "T": norm.type,
        "value": norm.value,
        "keep": "stats[r * 2] = p;" if norm.first else "",
        "fetch": "float p = stats[r * 2];" if norm.first else "",
    }


def _header(norm: _Norm, template: str, fold: str) -> str:
    """The template with the folds written out, and 16-bit types converted by hand."""
    folds = ""
    for name, parts in (("p", norm.first), ("q", norm.second)):
        if parts:
            identity, term, join = parts
            values = {"name": name, "identity": identity, "term": term, "join": join}
            text = fold
            for key, value in values.items():
                text = text.replace(f"${key}", value)
            folds += text
    text = template.replace("$folds", folds)
    if norm.type == "float":
        return text
    text = text.replace("float u = row[c];", "float u = __bfloat162float(row[c]);")
    text = text.replace("float u = x[i];", "float u = __bfloat162float(x[i]);")
    return "#include <cuda_bf16.h>\n" + text.replace("= $value;", "= __float2bfloat16($value);").lstrip("\n")
