"""Kernels that look at a window of an image: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.judge.kernels.text import Kernel, Style, blocks, write

_CONV_SIZES = "batch, channels, out_channels, height, width, (height - 1) / 2 + 1, (width - 1) / 2 + 1"
_CONV_HEAD = """(const float* x, const float* layer_weight, const float* layer_bias, float* out,
    int batch, int channels, int out_channels, int height, int width, int out_h, int out_w)"""
_CONV = """
// launch $k<<<ceil_div(numel(out), $B), $B>>>(x, layer_weight, layer_bias, out, $sizes)
extern "C" __global__ void $k$head {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= batch * out_channels * out_h * out_w) return;
  int ow = e % out_w;
  int oh = e / out_w % out_h;
  int o = e / (out_w * out_h) % out_channels;
  int b = e / (out_w * out_h * out_channels);
  float a = layer_bias[o];
  for (int c = 0; c < channels; ++c) {
    for (int p = 0; p < 3; ++p) {
      int h = oh * 2 - 1 + p;
      if (h < 0 || h >= height) continue;
      for (int q = 0; q < 3; ++q) {
        int w = ow * 2 - 1 + q;
        if (w < 0 || w >= width) continue;
        a += x[((b * channels + c) * height + h) * width + w] * layer_weight[((o * channels + c) * 3 + p) * 3 + q];
      }
    }
  }
  out[e] = a;
}
"""
_CONV_STRIDE = """
// launch $k<<<min(ceil_div(numel(out), $B), $G), $B>>>(x, layer_weight, layer_bias, out, $sizes)
extern "C" __global__ void $k$head {
  int count = batch * out_channels * out_h * out_w;
  for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < count; e += gridDim.x * blockDim.x) {
    int ow = e % out_w;
    int oh = e / out_w % out_h;
    int o = e / (out_w * out_h) % out_channels;
    int b = e / (out_w * out_h * out_channels);
    float a = 0.f;
    for (int c = 0; c < channels; ++c) {
      for (int tap = 0; tap < 9; ++tap) {
        int h = oh * 2 - 1 + tap / 3;
        int w = ow * 2 - 1 + tap % 3;
        if (h >= 0 && h < height && w >= 0 && w < width) {
          a += x[((b * channels + c) * height + h) * width + w] * layer_weight[(o * channels + c) * 9 + tap];
        }
      }
    }
    out[e] = a + layer_bias[o];
  }
}
"""
_CONV_TILED = """
// launch $k<<<dim3(ceil_div((width - 1) / 2 + 1, 8), ceil_div((height - 1) / 2 + 1, 8), batch * out_channels), dim3(8, 8)>>>(x, layer_weight, layer_bias, out, $sizes)
extern "C" __global__ void $k$head {
  __shared__ float tile[17][17];
  __shared__ float taps[9];
  int o = blockIdx.z % out_channels;
  int b = blockIdx.z / out_channels;
  int ow = blockIdx.x * 8 + threadIdx.x;
  int oh = blockIdx.y * 8 + threadIdx.y;
  int t = threadIdx.y * 8 + threadIdx.x;
  float a = layer_bias[o];
  for (int c = 0; c < channels; ++c) {
    for (int e = t; e < 17 * 17; e += 64) {
      int h = blockIdx.y * 16 - 1 + e / 17;
      int w = blockIdx.x * 16 - 1 + e % 17;
      bool inside = h >= 0 && h < height && w >= 0 && w < width;
      tile[e / 17][e % 17] = inside ? x[((b * channels + c) * height + h) * width + w] : 0.f;
    }
    if (t < 9) taps[t] = layer_weight[(o * channels + c) * 9 + t];
    __syncthreads();
    for (int p = 0; p < 3; ++p) {
      for (int q = 0; q < 3; ++q) {
        a += tile[threadIdx.y * 2 + p][threadIdx.x * 2 + q] * taps[p * 3 + q];
      }
    }
    __syncthreads();
  }
  if (oh < out_h && ow < out_w) {
    out[((b * out_channels + o) * out_h + oh) * out_w + ow] = a;
  }
}
"""
_CONV_REGISTERS = """
// launch $k<<<dim3(ceil_div(((height - 1) / 2 + 1) * ((width - 1) / 2 + 1), $B), ceil_div(out_channels, 4), batch), $B>>>(x, layer_weight, layer_bias, out, $sizes)
extern "C" __global__ void $k$head {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= out_h * out_w) return;
  int oh = e / out_w;
  int ow = e % out_w;
  int b = blockIdx.z;
  float sums[4] = {0.f, 0.f, 0.f, 0.f};
  for (int c = 0; c < channels; ++c) {
    for (int tap = 0; tap < 9; ++tap) {
      int h = oh * 2 - 1 + tap / 3;
      int w = ow * 2 - 1 + tap % 3;
      float u = 0.f;
      if (h >= 0 && h < height && w >= 0 && w < width) u = x[((b * channels + c) * height + h) * width + w];
      for (int l = 0; l < 4; ++l) {
        int o = blockIdx.y * 4 + l;
        if (o < out_channels) sums[l] += u * layer_weight[(o * channels + c) * 9 + tap];
      }
    }
  }
  for (int l = 0; l < 4; ++l) {
    int o = blockIdx.y * 4 + l;
    if (o < out_channels) out[((b * out_channels + o) * out_h + oh) * out_w + ow] = sums[l] + layer_bias[o];
  }
}
"""
_DEPTHWISE = """
// launch $k<<<ceil_div(numel(x), $B), $B>>>(x, layer_weight, out, batch, channels, height, width)
extern "C" __global__ void $k(const float* x, const float* layer_weight, float* out, int batch, int channels, int height, int width) {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e < batch * channels * height * width) {
    int ow = e % width;
    int oh = e / width % height;
    int c = e / (width * height) % channels;
    const float* plane = x + (size_t)(e / (width * height)) * height * width;
    float a = 0.f;
    for (int p = 0; p < 3; ++p) {
      for (int q = 0; q < 3; ++q) {
        int h = oh - 2 + p * 2;
        int w = ow - 2 + q * 2;
        if (h >= 0 && h < height && w >= 0 && w < width) {
          a += plane[h * width + w] * layer_weight[(c * 3 + p) * 3 + q];
        }
      }
    }
    out[e] = fmaxf(a, 0.f);
  }
}
"""
_DEPTHWISE_TILED = """
// launch $k<<<dim3(ceil_div(width, 16), ceil_div(height, $Y), batch * channels), dim3(16, $Y)>>>(x, layer_weight, out, channels, height, width)
extern "C" __global__ void $k(const float* x, const float* layer_weight, float* out, int channels, int height, int width) {
  __shared__ float tile[$Y + 4][20];
  int c = blockIdx.z % channels;
  const float* plane = x + (size_t)blockIdx.z * height * width;
  for (int e = threadIdx.y * 16 + threadIdx.x; e < ($Y + 4) * 20; e += 16 * $Y) {
    int h = (int)blockIdx.y * $Y - 2 + e / 20;
    int w = (int)blockIdx.x * 16 - 2 + e % 20;
    float u = 0.f;
    if (h >= 0 && h < height && w >= 0 && w < width) u = plane[h * width + w];
    tile[e / 20][e % 20] = u;
  }
  __syncthreads();
  int ow = blockIdx.x * 16 + threadIdx.x;
  int oh = blockIdx.y * $Y + threadIdx.y;
  if (oh >= height || ow >= width) return;
  float a = 0.f;
  for (int p = 0; p < 3; ++p) {
    for (int q = 0; q < 3; ++q) {
      a += tile[threadIdx.y + p * 2][threadIdx.x + q * 2] * layer_weight[c * 9 + p * 3 + q];
    }
  }
  out[((size_t)blockIdx.z * height + oh) * width + ow] = fmaxf(a, 0.f);
}
"""
_POOL_SIZES = "batch * channels, height, width, (height - 1) / 2 + 1, (width - 1) / 2 + 1"
_POOL_HEAD = "(const float* x, float* out, int planes, int height, int width, int out_h, int out_w)"
_POOL = """
// launch $k<<<ceil_div(numel(out), $B), $B>>>(x, out, $sizes)
extern "C" __global__ void $k$head {
  int e = blockIdx.x * blockDim.x + threadIdx.x;
  if (e < planes * out_h * out_w) {
    int ow = e % out_w;
    int oh = e / out_w % out_h;
    const float* plane = x + (size_t)(e / (out_w * out_h)) * height * width;
    float a = $identity;
    for (int p = 0; p < 3; ++p) {
      for (int q = 0; q < 3; ++q) {
        int h = oh * 2 - 1 + p;
        int w = ow * 2 - 1 + q;
        if (h >= 0 && h < height && w >= 0 && w < width) {
          float b = plane[h * width + w];
          a = $join;
        }
      }
    }
    out[e] = $value;
  }
}
"""
_POOL_BOUNDS = """
// launch $k<<<min(ceil_div(numel(out), $B), $G), $B>>>(x, out, $sizes)
extern "C" __global__ void $k$head {
  for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < planes * out_h * out_w; e += gridDim.x * blockDim.x) {
    int ow = e % out_w;
    int oh = e / out_w % out_h;
    int plane = e / (out_w * out_h);
    int top = max(oh * 2 - 1, 0);
    int left = max(ow * 2 - 1, 0);
    int bottom = min(oh * 2 + 2, height);
    int right = min(ow * 2 + 2, width);
    float a = $identity;
    for (int h = top; h < bottom; ++h) {
      for (int w = left; w < right; ++w) {
        float b = x[(plane * height + h) * width + w];
        a = $join;
      }
    }
    out[e] = $value;
  }
}
"""
_POOL_TILED = """
// launch $k<<<dim3(ceil_div((width - 1) / 2 + 1, 16), ceil_div((height - 1) / 2 + 1, $Y), batch * channels), dim3(16, $Y)>>>(x, out, $sizes)
extern "C" __global__ void $k$head {
  __shared__ float tile[2 * $Y + 1][33];
  const float* plane = x + (size_t)blockIdx.z * height * width;
  for (int e = threadIdx.y * 16 + threadIdx.x; e < (2 * $Y + 1) * 33; e += 16 * $Y) {
    int h = (int)blockIdx.y * 2 * $Y - 1 + e / 33;
    int w = (int)blockIdx.x * 32 - 1 + e % 33;
    bool inside = h >= 0 && h < height && w >= 0 && w < width;
    tile[e / 33][e % 33] = inside ? plane[h * width + w] : $identity;
  }
  __syncthreads();
  int ow = blockIdx.x * 16 + threadIdx.x;
  int oh = blockIdx.y * $Y + threadIdx.y;
  if (oh < out_h && ow < out_w) {
    float a = $identity;
    for (int p = 0; p < 3; ++p) {
      for (int q = 0; q < 3; ++q) {
        float b = tile[threadIdx.y * 2 + p][threadIdx.x * 2 + q];
        a = $join;
      }
    }
    out[((size_t)blockIdx.z * out_h + oh) * out_w + ow] = $value;
  }
}
"""


def kernels() -> Iterator[Kernel]:
    """Every kernel of a convolution or a pooling."""
    conv = {"head": _CONV_HEAD, "sizes": _CONV_SIZES}
    yield from write("conv2d", Style.NAIVE, _CONV, *blocks(128, 256, 64, **conv))
    yield from write("conv2d", Style.GRID_STRIDE, _CONV_STRIDE, *blocks(128, 256, G=64, **conv))
    yield from write("conv2d", Style.TILED, _CONV_TILED, conv)
    yield from write("conv2d", Style.REGISTERS, _CONV_REGISTERS, *blocks(64, 128, **conv))
    yield from write("depthwise", Style.NAIVE, _DEPTHWISE, *blocks(128, 256, 512))
    yield from write("depthwise", Style.TILED, _DEPTHWISE_TILED, *({"Y": y} for y in (8, 16, 4)))
    highest = {"identity": "-INFINITY", "join": "fmaxf(a, b)", "value": "a"}
    average = {"identity": "0.f", "join": "a + b", "value": "a / 9.f"}
    for program, fold in (("max_pool", highest), ("avg_pool", average)):
        pool = {"head": _POOL_HEAD, "sizes": _POOL_SIZES, **fold}
        yield from write(program, Style.NAIVE, _POOL, *blocks(128, 256, 64, **pool))
        yield from write(program, Style.GRID_STRIDE, _POOL_BOUNDS, *blocks(128, 256, G=64, **pool))
        yield from write(program, Style.TILED, _POOL_TILED, *({**pool, "Y": y} for y in (8, 16)))
