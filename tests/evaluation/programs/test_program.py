"""Problems from programs: names, sizes, variants, work and traffic, and reasons for refusal."""

import pytest

from evaluation.problem import Dialect, Split
from evaluation.programs.program import ProgramError, problem_from_program
from evaluation.programs.variants import ELEMENT_CAP, LARGE_ELEMENT_CAP, RELAXATION
from evaluation.reference.draw import Draw, Kind

PUBLISHED = """
import torch

def get_inputs():
    tensor_0 = torch.randn([16, 8192, 8192, 1], dtype=torch.float32)
    tensor_1 = torch.randn([1, 8192, 1], dtype=torch.float32)
    return [tensor_0, tensor_1]

def fused_operator(tensor_0, tensor_1):
    tensor_2 = torch.softmax(tensor_0 * tensor_1, dim = 2)
    return [tensor_2]
"""
LAYER = """
import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, in_features, out_features, num_groups):
        super().__init__()
        self.gemm = nn.Linear(in_features, out_features)
        self.norm = nn.GroupNorm(num_groups, out_features)

    def forward(self, x):
        return torch.relu(self.norm(self.gemm(x)))

batch_size = 1024
in_features = 4096
out_features = 8192
num_groups = 16

def get_inputs():
    return [torch.rand(batch_size, in_features)]

def get_init_inputs():
    return [in_features, out_features, num_groups]
"""


def make(text, reference, **more):
    return problem_from_program(text, id="p", source="test", reference=reference, **more)


def function(body, inputs="torch.randn(64, 256)"):
    return f"import torch\ndef get_inputs():\n    return [{inputs}]\ndef fused_operator(x):\n    {body}\n"


def test_a_published_program_shrinks_and_keeps_its_pattern(reference):
    problem = make(PUBLISHED, reference, level=2)
    assert (problem.dialect, problem.level, problem.split) == (Dialect.FUNCTION, 2, Split.HELDOUT)
    assert problem.operators == ("mul", "softmax")
    assert problem.shipped.program == PUBLISHED
    assert problem.shipped.sizes == {"d0": 16, "d1": 8192}
    assert problem.bytes == 4 * (2 * 16 * 8192**2 + 8192)
    assert 16 * 8192**2 <= problem.flops <= 100 * 16 * 8192**2
    assert len(problem.checks) == 3 and len(problem.aligned) == 2
    assert problem.unresizable is None
    for instance in problem.checks + problem.aligned:
        first, second = instance.inputs
        batch, rows, cols, one = first.shape
        assert (rows, one) == (cols, 1) and second.shape == (1, rows, 1)
        assert instance.sizes == {"d0": batch, "d1": rows}
        assert instance.outputs[0].shape == first.shape
    small, smaller, rounded = problem.checks
    for instance in (small, smaller):
        assert all(tensor.numel <= ELEMENT_CAP for tensor in instance.inputs + instance.outputs)
        assert instance.sizes["d1"] % 16
    assert all(instance.sizes["d1"] % 4 == 0 for instance in (rounded, *problem.aligned))
    assert all(tensor.numel <= LARGE_ELEMENT_CAP for instance in problem.ladder for tensor in instance.inputs)


def test_the_same_program_gives_the_same_problem(reference):
    assert make(PUBLISHED, reference) == make(PUBLISHED, reference)
    assert make(PUBLISHED, reference) != make(PUBLISHED, reference, seed=1)


def test_instances_run_at_their_sizes(reference):
    problem = make(PUBLISHED, reference)
    for instance in problem.checks + problem.aligned:
        trial = reference.trial(instance, Draw(Kind.SIGNED, 3))
        assert trial.expected["out"].shape == instance.outputs[0].shape


def test_a_module_has_parameters_named_sizes_and_divisible_groups(reference):
    problem = make(LAYER, reference)
    assert problem.dialect is Dialect.MODEL
    assert problem.operators == ("linear", "group_norm", "relu")
    assert problem.shipped.sizes == {
        "batch_size": 1024, "in_features": 4096, "out_features": 8192, "num_groups": 16,
    }  # fmt: skip
    names = [tensor.name for tensor in problem.shipped.parameters]
    assert names == ["gemm_weight", "gemm_bias", "norm_weight", "norm_bias"]
    assert problem.flops >= 2 * 1024 * 4096 * 8192
    for instance in problem.checks + problem.aligned:
        sizes = instance.sizes
        assert sizes["out_features"] % sizes["num_groups"] == 0
        assert instance.parameters[0].shape == (sizes["out_features"], sizes["in_features"])
        assert instance.inputs[0].shape == (sizes["batch_size"], sizes["in_features"])


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("return torch.nn.functional.avg_pool2d(x, 15, stride=1, padding=7)", "torch.randn(2, 4671, 8174)"),
        ("return torch.cat([x[:, :96], x[:, 96:] * 2], dim=1) + torch.ones(160)", "torch.randn(2048, 160)"),
        (
            "return torch.nn.functional.conv_transpose2d(x, x, stride=15, dilation=15)",
            "torch.randn(1, 1, 90, 70)",
        ),
        ("return x.var(0, keepdim=True)", "torch.randn([11, 7944, 8192])"),
        ("return torch.group_norm(x, 32)", "torch.randn(64, 512, 1024)"),
        ("return x.reshape(8 * 4096, 8, 64).softmax(2)", "torch.randn(8, 4096, 512)"),
    ],
)
def test_shapes_that_hang_together_are_resized_together(reference, body, inputs):
    problem = make(function(body, inputs), reference)
    assert problem.unresizable is None
    assert all(tensor.numel <= RELAXATION * ELEMENT_CAP for item in problem.checks for tensor in item.outputs)
    assert len({item.program for item in problem.checks + problem.aligned}) >= 2


LAYERED = """
import torch
import torch.nn as nn
from torch.nn.functional import relu
class Model(nn.Module):
    def __init__(self{arguments}):
        super().__init__()
        {layers}
    def forward(self, x):
        {body}
{constants}
def get_inputs():
    return [torch.rand({shape})]
def get_init_inputs():
    return [{arguments2}]
"""


@pytest.mark.parametrize(
    ("arguments", "layers", "body", "constants", "shape"),
    [
        (
            ", width, num_layers",
            "self.stack = nn.LSTM(width, 256, num_layers, batch_first=True)",
            "return self.stack(x)[0]",
            "batch_size, length, width, num_layers = 10, 512, 128, 6",
            "batch_size, length, width",
        ),
        (
            ", sizes",
            "self.stack = nn.Sequential(*(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])))",
            "return self.stack(x)",
            "batch_size, sizes = 128, [1024] * 5",
            "batch_size, sizes[0]",
        ),
        (
            "",
            "self.conv, self.fc = nn.Conv2d(1, 64, 3, padding=1), nn.Linear(64 * 7 * 7, 100)",
            "return self.fc(nn.functional.max_pool2d(relu(self.conv(x)), 4).flatten(1))",
            "batch_size = 256",
            "batch_size, 1, 28, 28",
        ),
    ],
    ids=["layers-of-a-recurrent-one", "repeated-widths", "flattened-sides"],
)
def test_networks_are_resized(reference, arguments, layers, body, constants, shape):
    text = LAYERED.format(
        arguments=arguments, layers=layers, body=body, constants=constants, shape=shape,
        arguments2=arguments.removeprefix(", "),
    )  # fmt: skip
    problem = make(text, reference)
    assert problem.unresizable is None
    shipped = [tensor.name for tensor in problem.shipped.parameters]
    assert all([tensor.name for tensor in item.parameters] == shipped for item in problem.checks)


def test_the_number_of_elements_varies_from_below_a_block_to_a_million(reference):
    problem = make(function("return x.sin()", "torch.randn(1 << 24)"), reference)
    counts = sorted(instance.inputs[0].numel for instance in problem.checks + problem.ladder)
    assert counts[0] < 256 and counts[-1] > 1_000_000
    for constant in (256, 1024, 4096, 65_535, 200_000):
        assert any(constant < count <= 20 * constant for count in counts)
    assert any(count % 4096 == 0 for count in counts)


def test_a_small_program_without_size_constants_says_so(reference):
    problem = make(function("return x.sum(1)", 'torch.randn(int("37"), len("abc"))'), reference)
    assert problem.unresizable is not None
    assert [instance.program for instance in problem.checks] == [problem.shipped.program]
    assert problem.aligned == ()


@pytest.mark.parametrize("name", ["größe", "n" * 70])
def test_constants_whose_names_no_launch_line_can_hold_are_left_out(reference, name):
    text = f"rows = 512\n{name} = 256\n" + function("return x.sin()", f"torch.randn(rows, {name})")
    problem = make(text, reference)
    assert list(problem.shipped.sizes) == ["rows"]
    assert len({instance.inputs[0].shape for instance in problem.checks}) == 3


@pytest.mark.parametrize("name", ["größe", "n" * 70])
def test_inputs_that_no_kernel_can_name_are_refused(reference, name):
    with pytest.raises(ProgramError, match="tensors cannot be used"):
        make(function("return x.sin()").replace("x", name), reference)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            function("return x.sum(1)", 'torch.randn(int("100000"), 64)'),
            "too large for the CPU and cannot be resized",
        ),
        (function("return x * 0"), "zero everywhere"),
        (function("return torch.softmax(x, 1).mean(1)"), "constant"),
        (function("return x.contiguous()"), "copy of an input"),
        (function("return x.sqrt()"), "not finite"),
        (function("return torch.nn.functional.dropout(x)"), "not the same for the same inputs"),
        (function("return x @ x"), "does not run"),
        (function("return torch.ones(3)", "3"), "no tensor inputs"),
        (function("return x", "{1}"), "returns a set"),
        ("import torch\n", "no `get_inputs`"),
        ("def get_inputs(", "not valid Python"),
    ],
)
def test_what_makes_no_problem_says_why(reference, text, reason):
    with pytest.raises(ProgramError, match=reason):
        make(text, reference)


@pytest.mark.parametrize(
    "body",
    [
        "torch.relu(x)",
        "F.leaky_relu(x)",
        "F.elu(x)",
        "F.hardtanh(x)",
        "F.relu6(x)",
        "torch.relu(x - 2)",
        "x > 2",
    ],
)
def test_what_is_a_copy_or_constant_for_its_own_inputs_only_is_a_task(reference, body):
    text = "import torch.nn.functional as F\n" + function(f"return {body}", "torch.rand(64, 256)")
    assert make(text, reference).checks
