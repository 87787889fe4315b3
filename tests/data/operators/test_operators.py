"""Every operator's PyTorch expression against NumPy, written out by hand."""

import math

import numpy as np
import pytest
import torch

from data.generator import single_operator_graphs
from data.operators.domains import POSITIVE
from data.operators.operator import Operator
from data.operators.registry import OPERATORS, chosen
from data.rendering import check_instance
from data.screen import draw_inputs, run
from evaluation.errors import WarpsmithError

_ERF = np.vectorize(math.erf)


def _centred(x):
    return x - x.mean(1, keepdims=True)


def _softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _conv2d(x, weight, bias):
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    return np.einsum("bchwij,ocij->bohw", windows, weight) + bias[:, None, None]


def _attention(query, key, value):
    scores = np.einsum("betf,besf->bets", query, key) / math.sqrt(query.shape[-1])
    return np.einsum("bets,besf->betf", _softmax(scores), value)


#: Each on the floating-point inputs of the operator, at the defaults of its attributes.
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
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(1),
    "amax": lambda x: x.max(1),
    "amin": lambda x: x.min(1),
    "softmax": _softmax,
    "layer_norm": lambda x: _centred(x) / np.sqrt((_centred(x) ** 2).mean(1, keepdims=True) + 1e-5),
    "rms_norm": lambda x: x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-6),
    "cumsum": lambda x: np.cumsum(x, 1),
    "transpose": np.transpose,
    "matmul": np.matmul,
    "conv2d": _conv2d,
    "scaled_dot_product_attention": _attention,
}  # fmt: skip
#: Closed forms that need an operand that is no floating-point tensor.
OF_ALL_INPUTS = {
    "cross_entropy": lambda x, target: -np.log(_softmax(x)[np.arange(len(x)), target]).mean(),
}


def test_every_operator_has_a_closed_form():
    assert set(OPERATORS) == set(CLOSED_FORMS) | set(OF_ALL_INPUTS)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_program_of_one_operator_is_the_closed_form(name):
    program = check_instance(single_operator_graphs(OPERATORS[name])[0]).program
    inputs = draw_inputs(program)
    form = CLOSED_FORMS.get(name)
    if form is None:
        namespace: dict = {}
        exec(program, namespace)
        torch.manual_seed(0)
        form, inputs = OF_ALL_INPUTS[name], namespace["get_inputs"]()
        inputs = [value.double() if value.is_floating_point() else value for value in inputs]
    (got,) = run(program)
    np.testing.assert_allclose(got.numpy(), form(*(value.numpy() for value in inputs)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("parts", "stranger"),
    [
        ({"torch": "torch.exp({x} + {z})"}, "z"),
        ({"signature": "x[m, n], y[n] -> out[m, n]"}, "y"),
        ({"domains": {"mask": POSITIVE}}, "mask"),
        ({"reads": {"index": "n"}}, "index"),
    ],
)
def test_an_entry_whose_parts_do_not_fit_is_refused(parts, stranger):
    with pytest.raises(ValueError, match=f"operator odd: {stranger} does not fit"):
        Operator(**{"name": "odd", "torch": "torch.exp({x})", "signature": "x[m, n] -> out[m, n]"} | parts)


def test_a_night_draws_from_the_operators_that_it_names():
    assert list(chosen(["relu", "abs"])) == ["relu", "abs"]
    assert chosen([]) == OPERATORS
    with pytest.raises(WarpsmithError, match="no operator 'sofmax'; did you mean 'softmax'"):
        chosen(["sofmax"])
