"""Norms, and what moves pixels."""

import numpy as np


def _standard(x, *axes):
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5)


def _channels(values):
    return values[:, None, None]


def _affine(*axes):
    return lambda x, weight, bias: _standard(x, *axes) * _channels(weight) + _channels(bias)


def _batch_norm(x, mean, var, weight, bias):
    scale = _channels(weight / np.sqrt(var + 1e-5))
    return (x - _channels(mean)) * scale + _channels(bias)


def _group_norm(x, weight, bias):
    halves = x.reshape(x.shape[0], 2, -1)
    return _standard(halves, 2).reshape(x.shape) * _channels(weight) + _channels(bias)


def _pixel_shuffle(x):
    b, c, h, w = x.shape
    return x.reshape(b, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(b, c // 4, 2 * h, 2 * w)


_BORDER = ((0, 0), (0, 0), (1, 1), (1, 1))

FORMS = {
    "batch_norm": _batch_norm,
    "batch_norm_training": _affine(0, 2, 3),
    "instance_norm": _affine(2, 3),
    "group_norm": _group_norm,
    "layer_norm_3d": lambda x, weight, bias: _standard(x, 1, 2, 3) * weight + bias,
    "rms_norm_channels": lambda x: x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5),
    "normalize": lambda x: x / np.sqrt((x**2).sum(1, keepdims=True)),
    "normalize_l1": lambda x: x / np.abs(x).sum(1, keepdims=True),
    "vector_norm": lambda x: np.sqrt((x**2).sum((2, 3))),
    "norm": lambda x: x / np.sqrt((x**2).sum()),
    "pad": lambda x: np.pad(x, _BORDER),
    "pad_reflect": lambda x: np.pad(x, _BORDER, mode="reflect"),
    "interpolate": lambda x: x.repeat(2, 2).repeat(2, 3),
    "pixel_shuffle": _pixel_shuffle,
}
