"""Whole networks at other sizes: what a complaint teaches, and published networks' manner (deep/*.py)."""

from pathlib import Path

import pytest

from evaluation.programs.networks import mended
from evaluation.programs.program import problem_from_program

DEEP = Path(__file__).with_name("deep")
#: A network of each manner; tests/benchmarks/bench_networks.py describes all that are in the folder.
MANNERS = (
    "alexnet", "densenet", "efficientnet_b0", "googlenet", "gru", "lstm_states", "mobilenet_v1", "resnet18",
    "shufflenet", "unet", "vgg16", "vit",
)  # fmt: skip
LAYERS = """
class Model:
    def __init__(self):
        self.first, self.second = Linear(64 * 7 * 7, 128), Linear(128, 10)
    def forward(self, x):
        return self.second(self.first(x.view(-1, 3136)))
def get_inputs():
    return [randn(2, 3136)]
"""


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("mat1 and mat2 shapes cannot be multiplied (2x64 and 3136x128)", ("Linear(64, 128)", "-1, 64")),
        ("a and b must have same reduction dim, but got [2, 64] X [128, 10].", ("Linear(64, 10)",)),
        ("shape '[-1, 3136]' is invalid for input of size 128", ("Linear(64, 128)", "-1, 64")),
    ],
)
def test_a_layer_is_given_what_it_got(reason, expected):
    text = mended(LAYERS, f"the program does not run: RuntimeError: {reason}", [2])
    assert text is not None and all(part in text for part in expected)
    assert "randn(2, 3136)" in text


def test_other_complaints_teach_nothing():
    assert mended(LAYERS, "the program does not run: AssertionError: ", [2]) is None
    assert mended(LAYERS, "mat1 and mat2 shapes cannot be multiplied (2x64 and 999x128)", [2]) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", MANNERS)
def test_published_networks_are_resized(name, reference):
    program = (DEEP / f"{name}.py").read_text()
    problem = problem_from_program(program, id=name, source="deep", reference=reference)
    assert problem.unresizable is None
    names = [tensor.name for tensor in problem.shipped.parameters]
    for instance in problem.checks:
        assert [tensor.name for tensor in instance.parameters] == names
        shapes = [tensor.shape for tensor in instance.inputs]
        assert shapes != [tensor.shape for tensor in problem.shipped.inputs]
