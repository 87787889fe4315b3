"""Elementwise kernels: one thread an element, strides, vectors, several elements a thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.judge.kernels.text import Kernel, Style, blocks, write


@dataclass(frozen=True)
class _Map:
    """`value` computes the output from `u` (an element of x) and `v` (of y), floats."""

    program: str
    value: str
    inputs: tuple[str, ...] = ("x",)
    type: str = "float"
    helpers: str = ""


_MAPS = (
    _Map("leaky_relu", "u > 0.f ? u : 0.1f * u"),
    _Map("gelu", "0.5f * u * (1.f + tanhf(0.7978845608f * (u + 0.044715f * u * u * u)))"),
    _Map("silu_mul", "u / (1.f + expf(-u)) * v", ("x", "y")),
    _Map("clamp", "fminf(fmaxf(u * 1.5f + 0.5f, -1.f), 2.f)"),
    _Map("softsign", "u / (1.f + fabsf(u))"),
    _Map("axpy_half", "u * 1.5f + v", ("x", "y"), "half"),
    _Map("silu_bfloat", "u / (1.f + expf(-u))", type="__nv_bfloat16"),
)
_HEADER = {"float": "", "half": "#include <cuda_fp16.h>\n", "__nv_bfloat16": "#include <cuda_bf16.h>\n"}
_LOAD = {"float": "{0}[{1}]", "half": "__half2float({0}[{1}])", "__nv_bfloat16": "__bfloat162float({0}[{1}])"}
_STORE = {"float": "{0}", "half": "__float2half({0})", "__nv_bfloat16": "__float2bfloat16({0})"}

_NAIVE = """
$header// launch $k<<<ceil_div(numel(x), $B), $B>>>($arguments, out, numel(x))
extern "C" __global__ void $k($parameters, $T* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    $loads
    out[i] = $store;
  }
}
"""
_EARLY_RETURN = """
$header// launch $k<<<ceil_div(numel(x), $B), $B>>>($arguments, out, numel(x))
extern "C" __global__ void __launch_bounds__($B) $k($parameters, $T* out, int n) {
  int i = blockIdx.x * $B + threadIdx.x;
  if (i >= n) return;
  $loads
  out[i] = $store;
}
"""
_STRIDE = """
$header// launch $k<<<min(ceil_div(numel(x), $B), $G), $B>>>($arguments, out, numel(x))
extern "C" __global__ void $k($parameters, $T* out, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    $loads
    out[i] = $store;
  }
}
"""
_REGISTERS = """
$header// launch $k<<<ceil_div(numel(x), $B * $I), $B>>>($arguments, out, numel(x))
extern "C" __global__ void $k($parameters, $T* out, int n) {
  int first = blockIdx.x * ($B * $I) + threadIdx.x;
  #pragma unroll
  for (int j = 0; j < $I; ++j) {
    int i = first + j * $B;
    if (i < n) {
      $loads
      out[i] = $store;
    }
  }
}
"""
_GROUPS = """
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
$header// launch $k<<<ceil_div(numel(x), $B), $B>>>($arguments, out, numel(x))
extern "C" __global__ void $k($parameters, $T* out, int n) {
  cg::thread_block block = cg::this_thread_block();
  int i = blockIdx.x * block.size() + block.thread_rank();
  if (i < n) {
    $loads
    out[i] = $store;
  }
}
"""
_VECTOR = """
// launch $k<<<ceil_div(ceil_div(numel(x), 4), $B), $B>>>($arguments, out, numel(x))
__device__ __forceinline__ float value($locals) {
  return $value;
}
extern "C" __global__ void $k($parameters, float* out, int n) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  int vectors = n / 4;
  if (t < vectors) {
    $vectors
    float4 r = make_float4($lanes);
    reinterpret_cast<float4*>(out)[t] = r;
  }
  if (t < n - vectors * 4) {
    int i = vectors * 4 + t;
    $loads
    out[i] = value($names);
  }
}
"""
_HALF2 = """
#include <cuda_fp16.h>
// launch $k<<<ceil_div(ceil_div(n, 2), $B), $B>>>(x, y, out, n)
extern "C" __global__ void $k(const half* x, const half* y, half* out, int n) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t < n / 2) {
    float2 u = __half22float2(reinterpret_cast<const half2*>(x)[t]);
    float2 v = __half22float2(reinterpret_cast<const half2*>(y)[t]);
    reinterpret_cast<half2*>(out)[t] = __floats2half2_rn(u.x * 1.5f + v.x, u.y * 1.5f + v.y);
  }
  if (t == 0 && n % 2 == 1) {
    out[n - 1] = __float2half(__half2float(x[n - 1]) * 1.5f + __half2float(y[n - 1]));
  }
}
"""
_PLANE = """
// launch $k<<<dim3(ceil_div(cols, $X), ceil_div(rows, $Y)), dim3($X, $Y)>>>($arguments, out, rows, cols)
extern "C" __global__ void $k($parameters, float* out, int rows, int cols) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  int r = blockIdx.y * blockDim.y + threadIdx.y;
  if (r < rows && c < cols) {
    int i = r * cols + c;
    $loads
    out[i] = $store;
  }
}
"""
_ROWS_STRIDE = """
// launch $k<<<min(rows, $G), $B>>>($arguments, out, rows, cols)
extern "C" __global__ void $k($parameters, float* out, int rows, int cols) {
  for (int r = blockIdx.x; r < rows; r += gridDim.x) {
    for (int c = threadIdx.x; c < cols; c += blockDim.x) {
      int i = r * cols + c;
      $loads
      out[i] = $store;
    }
  }
}
"""
_CACHED_ROW = """
// launch $k<<<ceil_div(cols, $B), $B>>>(x, w, b, out, rows, cols)
extern "C" __global__ void $k(const float* x, const float* w, const float* b, float* out, int rows, int cols) {
  __shared__ float scale[$B];
  __shared__ float shift[$B];
  int c = blockIdx.x * $B + threadIdx.x;
  scale[threadIdx.x] = c < cols ? w[c] : 0.f;
  shift[threadIdx.x] = c < cols ? b[c] : 0.f;
  __syncthreads();
  if (c >= cols) return;
  for (int r = 0; r < rows; ++r) {
    out[r * cols + c] = x[r * cols + c] * scale[threadIdx.x] + shift[threadIdx.x];
  }
}
"""


def kernels() -> Iterator[Kernel]:
    """Every elementwise kernel."""
    for each in _MAPS:
        yield from _of_map(each)
    yield from _of_matrices()


def _of_map(each: _Map) -> Iterator[Kernel]:
    values = _values(each)
    yield from write(each.program, Style.NAIVE, _NAIVE, *blocks(256, 128, **values))
    yield from write(each.program, Style.NAIVE, _EARLY_RETURN, *blocks(512, 64, **values))
    strides = [{**values, "B": size, "G": grid} for size, grid in ((256, 120), (128, 64), (1024, 16))]
    yield from write(each.program, Style.GRID_STRIDE, _STRIDE, *strides)
    several = [{**values, "B": size, "I": items} for size, items in ((128, 4), (256, 2), (64, 8))]
    yield from write(each.program, Style.REGISTERS, _REGISTERS, *several)
    yield from write(each.program, Style.GROUPS, _GROUPS, *blocks(256, **values))
    if each.type == "float":
        yield from write(each.program, Style.VECTOR, _VECTOR, *blocks(256, 128, 64, **values))
    if each.type == "half":
        yield from write(each.program, Style.VECTOR, _HALF2, *blocks(256, 128, **values))


def _values(each: _Map) -> dict[str, object]:
    letters = dict(zip(each.inputs, "uv", strict=False))
    return {
        "header": _HEADER[each.type],
        "arguments": ", ".join(each.inputs),
        "parameters": ", ".join(f"const {each.type}* {name}" for name in each.inputs),
        "T": each.type,
        "loads": " ".join(
            f"float {letter} = {_LOAD[each.type].format(name, 'i')};" for name, letter in letters.items()
        ),
        "value": each.value,
        "store": _STORE[each.type].format(each.value),
        "locals": ", ".join(f"float {letter}" for letter in letters.values()),
        "names": ", ".join(letters.values()),
        "vectors": " ".join(
            f"float4 {letter} = reinterpret_cast<const float4*>({name})[t];"
            for name, letter in letters.items()
        ),
        "lanes": ", ".join(
            f"value({', '.join(f'{letter}.{lane}' for letter in letters.values())})" for lane in "xyzw"
        ),
    }


def _of_matrices() -> Iterator[Kernel]:
    planes: list[dict[str, object]] = [{"X": x, "Y": y} for x, y in ((32, 8), (16, 16), (64, 4))]
    strides: list[dict[str, object]] = [{"B": size, "G": grid} for size, grid in ((256, 64), (64, 512))]
    scale = {
        "arguments": "x, w, b",
        "parameters": "const float* x, const float* w, const float* b",
        "loads": "float u = x[i];",
        "store": "u * w[c] + b[c]",
    }
    lower = {
        "arguments": "x",
        "parameters": "const float* x",
        "loads": "float u = x[i];",
        "store": "c <= r ? u : 0.f",
    }
    silu = _values(next(each for each in _MAPS if each.program == "silu_mul"))
    gelu = _values(next(each for each in _MAPS if each.program == "gelu"))
    for program, values in {"scale_shift": scale, "tril": lower, "silu_mul": silu, "gelu": gelu}.items():
        yield from write(program, Style.NAIVE, _PLANE, *({**values, **plane} for plane in planes))
        yield from write(program, Style.GRID_STRIDE, _ROWS_STRIDE, *({**values, **each} for each in strides))
    yield from write("scale_shift", Style.TILED, _CACHED_ROW, *blocks(128, 256))
