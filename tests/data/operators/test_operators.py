"""Every operator's PyTorch expression against NumPy, written out by hand in the modules of `forms`."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from data.generator import single_operator_graphs
from data.operators.domains import POSITIVE
from data.operators.operator import Operator
from data.operators.registry import OPERATORS, chosen
from data.rendering import check_instance
from data.screen import draw_inputs, run
from evaluation.errors import WarpsmithError

MODULES = sorted(path.stem for path in (Path(__file__).parent / "forms").glob("*.py"))
FORMS = {
    name: form
    for module in MODULES
    for name, form in importlib.import_module(f"tests.data.operators.forms.{module}").FORMS.items()
}


def test_every_operator_has_a_closed_form():
    assert set(OPERATORS) == set(FORMS)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_program_of_one_operator_is_the_closed_form(name):
    program = check_instance(single_operator_graphs(OPERATORS[name])[0]).program
    wanted = FORMS[name](*(value.numpy() for value in draw_inputs(program)))
    outputs = run(program)
    for got, want in zip(outputs, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-12)


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
