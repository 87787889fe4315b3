"""Closed forms in NumPy of products and attention, on all inputs, at default attributes."""

import math

import numpy as np

from tests.data.operators.forms.rows import softmax


def _attention(query, key, value):
    scores = np.einsum("betf,besf->bets", query, key) / math.sqrt(query.shape[-1])
    return np.einsum("bets,besf->betf", softmax(scores), value)


FORMS = {
    "transpose": np.transpose,
    "matmul": np.matmul,
    "scaled_dot_product_attention": _attention,
    "matmul_tn": lambda x, y: x.T @ y,
    "matmul_nt": lambda x, y: x @ y.T,
    "matmul_tt": lambda x, y: (y @ x).T,
    "mm": np.dot,
    "addmm": lambda bias, x, y: bias + x @ y,
    "linear": lambda x, weight, bias: x @ weight.T + bias,
    "bmm": lambda x, y: np.einsum("bmk,bkn->bmn", x, y),
    "tensordot": np.matmul,
    "einsum": np.matmul,
    "matmul_symmetric": lambda x, y: (y.T @ x.T).T,
    "matmul_triu": lambda x, y: np.triu(np.triu(x) @ np.triu(y)),
    "matmul_tril": lambda x, y: np.tril(np.tril(x) @ np.tril(y)),
    "inner": np.inner,
    "outer": np.outer,
    "dot": np.dot,
    "diag_matmul": lambda diagonal, y: np.diag(diagonal) @ y,
}
