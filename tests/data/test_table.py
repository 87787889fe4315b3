"""What is measured of a problem, and which problems have no place in the table."""

import pytest

from data.table import measure, unfit
from evaluation.problem import Tensor
from evaluation.programs.program import problem_from_program


def problem(confined, body, shape="64, 32"):
    text = (
        f"import torch\n\ndef get_inputs():\n    return [torch.randn({shape})]\n\n"
        f"def fused_operator(x):\n    return {body}\n"
    )
    return problem_from_program(text, id="p", source="test", reference=confined)


@pytest.mark.parametrize("body", ["x.square().mean()", "torch.relu(x)"])
def test_an_output_of_one_value_varies_with_the_inputs(confined, body):
    found = problem(confined, body)
    measured = measure(found, confined)
    assert measured.output_std > 0 and unfit(found, measured) is None


def test_what_is_too_large_is_unfit(confined):
    found = problem(confined, "torch.relu(x)")
    measured = measure(found, confined)
    huge = (Tensor(name="x", shape=(1 << 20, 1 << 20), dtype="float32"),)
    too_large = found.model_copy(update={"shipped": found.shipped.model_copy(update={"inputs": huge})})
    assert unfit(too_large, measured) == "its elements are 1.1e+12; they may be 1 to 1.71799e+10"
    assert unfit(found.model_copy(update={"bytes": 10**13}), measured).startswith("its bytes are 1e+13")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"output_std": 0.0}, "an output is constant"),
        ({"output_finite": False}, "an output is not finite"),
        ({"output_copies_input": True}, "an output is a copy of an input"),
    ],
)
def test_what_is_degenerate_is_unfit(confined, change, reason):
    from dataclasses import replace

    found = problem(confined, "torch.relu(x)")
    assert unfit(found, replace(measure(found, confined), **change)) == reason
