"""Convolutions, transposed ones and pools."""

import itertools

import numpy as np


def _windows(x, sizes, step=1):
    found = np.lib.stride_tricks.sliding_window_view(x, sizes, axis=tuple(range(2, x.ndim)))
    return found[(slice(None), slice(None), *[slice(None, None, step)] * len(sizes))]


def _by_channel(values, ndim):
    return values.reshape(-1, *[1] * (ndim - 2))


def _convolution(x, weight, bias):
    inside = tuple(range(x.ndim, 2 * x.ndim - 2))
    out = np.tensordot(_windows(x, weight.shape[2:]), weight, ((1, *inside), (1, *range(2, x.ndim))))
    return np.moveaxis(out, -1, 1) + _by_channel(bias, x.ndim)


def _depthwise(x, weight, bias):
    filters = weight[:, 0].reshape(weight.shape[0], *[1] * (x.ndim - 2), *weight.shape[2:])
    inside = tuple(range(x.ndim, 2 * x.ndim - 2))
    return (_windows(x, weight.shape[2:]) * filters).sum(inside) + _by_channel(bias, x.ndim)


def _transposed(x, weight, bias):
    """Every input element scattered, two steps apart."""
    sizes = [2 * (extent - 1) + size for extent, size in zip(x.shape[2:], weight.shape[2:], strict=True)]
    out = np.zeros((x.shape[0], weight.shape[1], *sizes))
    for tap in itertools.product(*map(range, weight.shape[2:])):
        places = tuple(slice(first, first + 2 * n - 1, 2) for first, n in zip(tap, x.shape[2:], strict=True))
        part = np.tensordot(x, weight[(..., *tap)], (1, 0))
        out[(slice(None), slice(None), *places)] += np.moveaxis(part, -1, 1)
    return out + _by_channel(bias, x.ndim)


def _pool(fold):
    return lambda x: fold(_windows(x, (2,) * (x.ndim - 2), 2), axis=tuple(range(x.ndim, 2 * x.ndim - 2)))


FORMS = {
    "conv1d": _convolution,
    "conv2d": _convolution,
    "conv3d": _convolution,
    "depthwise_conv1d": _depthwise,
    "depthwise_conv2d": _depthwise,
    "conv_transpose1d": _transposed,
    "conv_transpose2d": _transposed,
    "conv_transpose3d": _transposed,
    "max_pool1d": _pool(np.max),
    "max_pool2d": _pool(np.max),
    "max_pool3d": _pool(np.max),
    "avg_pool1d": _pool(np.mean),
    "avg_pool2d": _pool(np.mean),
    "avg_pool3d": _pool(np.mean),
    "adaptive_avg_pool2d": lambda x: x.mean((2, 3), keepdims=True),
}
