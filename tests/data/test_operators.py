"""Every operator's PyTorch expression against NumPy, written out by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data.operators import OPERATORS, POINTWISE, STRUCTURED, Family

_ERF = np.vectorize(math.erf)


def _centred(x):
    return x - x.mean(1, keepdims=True)


CLOSED_FORMS = {
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
    "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(1),
    "amax": lambda x: x.max(1),
    "amin": lambda x: x.min(1),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    "layer_norm": lambda x: _centred(x) / np.sqrt((_centred(x) ** 2).mean(1, keepdims=True) + 1e-5),
    "rms_norm": lambda x: x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-6),
    "cumsum": lambda x: np.cumsum(x, 1),
    "transpose": np.transpose,
}
CLOSED_FORMS_OF_TWO = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "matmul": np.matmul,
}


def _evaluate(expression, **values):
    return eval(expression, {"torch": torch, "F": F, **values}).numpy()


def test_every_operator_has_a_closed_form_and_every_family_an_operator():
    assert {operator.family for operator in OPERATORS.values()} == set(Family)
    assert set(OPERATORS) == set(CLOSED_FORMS) | set(CLOSED_FORMS_OF_TWO)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_torch_expression_is_the_closed_form(name):
    x = np.random.default_rng(0).normal(size=(5, 7))
    got = _evaluate(OPERATORS[name].torch.format("x"), x=torch.from_numpy(x), n=7)
    np.testing.assert_allclose(got, CLOSED_FORMS[name](x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CLOSED_FORMS_OF_TWO)
def test_binary_torch_expression_is_the_closed_form(name):
    x, y = np.random.default_rng(0).normal(size=(2, 6, 6))
    got = _evaluate(OPERATORS[name].torch.format("x", "y"), x=torch.from_numpy(x), y=torch.from_numpy(y))
    np.testing.assert_allclose(got, CLOSED_FORMS_OF_TWO[name](x, y), rtol=1e-12)


def test_only_row_operators_fold():
    folding = {Family.REDUCTION, Family.ROW, Family.SCAN}
    for operator in OPERATORS.values():
        assert bool(operator.folds) == (operator.family in folding), operator.name


def test_families_are_elementwise_or_structured_or_reductions():
    elementwise = POINTWISE | {Family.BINARY}
    assert elementwise | STRUCTURED | {Family.REDUCTION} == set(Family)
    assert not elementwise & STRUCTURED
