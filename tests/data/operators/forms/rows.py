"""Closed forms in NumPy of reductions and row operators, on all inputs, at default attributes."""

import numpy as np


def centred(x):
    return x - x.mean(1, keepdims=True)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


FORMS = {
    "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(1),
    "amax": lambda x: x.max(1),
    "amin": lambda x: x.min(1),
    "softmax": softmax,
    "layer_norm": lambda x: centred(x) / np.sqrt((centred(x) ** 2).mean(1, keepdims=True) + 1e-5),
    "rms_norm": lambda x: x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-6),
    "cumsum": lambda x: np.cumsum(x, 1),
}
