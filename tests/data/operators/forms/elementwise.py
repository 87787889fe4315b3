"""Closed forms in NumPy of elementwise operators, on all inputs, at default attributes."""

import math

import numpy as np

_ERF = np.vectorize(math.erf)

FORMS = {
    "abs": np.abs,
    "neg": np.negative,
    "square": np.square,
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu": lambda x: x / 2 * (1 + _ERF(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "leaky_relu": lambda x: np.where(x > 0, x, x / 100),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
