"""The graph of a program: the same for what is the same task, another for what is not."""

import pytest

from evaluation.reference.graph import graph_hash


def function(body, shapes="[64, 32]", arguments="x", head=""):
    drawn = ", ".join(f"torch.randn({shape})" for shape in shapes.split(";"))
    return (
        f"import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n{head}\n"
        f"def get_inputs():\n    return [{drawn}]\n"
        f"def fused_operator({arguments}):\n    {body}\n"
    )


def model(layers, body, shapes="[64, 32]", arguments="x"):
    drawn = ", ".join(f"torch.randn({shape})" for shape in shapes.split(";"))
    return (
        "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
        f"class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n        {layers}\n"
        f"    def forward(self, {arguments}):\n        {body}\n"
        f"def get_inputs():\n    return [{drawn}]\n"
    )


def graph(program):
    return graph_hash(program, 1 << 16)


RELU = function("return torch.relu(x)")
TWO = "[64, 32];[64, 32]"
SAME = {
    "other sizes": (RELU, function("return torch.relu(x)", "[4096, 8191]")),
    "a method": (RELU, function("return x.relu()")),
    "a module": (RELU, model("self.act = nn.ReLU()", "return self.act(x)")),
    "a copy first": (RELU, function("y = x.clone().contiguous()\n    return torch.relu(y)")),
    "in place": (RELU, function("y = x.clone()\n    return y.relu_()")),
    "work that nobody reads": (RELU, function("y = torch.exp(x)\n    return torch.relu(x)")),
    "names": (RELU, function("z = torch.relu(other)\n    return [z]", arguments="other")),
    "a sign": (function("return x + y", TWO, "x, y"), function("return torch.add(x, y)", TWO, "x, y")),
    "swapped operands": (
        function("return torch.exp(x) * y", TWO, "x, y"),
        function("return y * torch.exp(x)", TWO, "x, y"),
    ),
    "swapped arguments": (
        function("return x - y", TWO, "x, y"),
        function("return x - y", TWO, "y, x"),
    ),
    "an axis from behind": (function("return x.sum(1)"), function("return torch.sum(x, dim=-1)")),
    "a default": (function("return x.softmax(1)"), function("return F.softmax(x, dim=1, dtype=None)")),
    "a layer of another width": (
        model("self.fc = nn.Linear(32, 48)", "return torch.relu(self.fc(x))"),
        model("self.fc = nn.Linear(512, 1000)", "return F.relu(self.fc(x))", "[128, 512]"),
    ),
    "a shape in numbers": (
        function("return x.reshape(32, 64).softmax(1)"),
        function("return x.reshape(320, 640).softmax(1)", "[640, 320]"),
    ),
    "a loop": (
        function("for _ in range(3):\n        x = torch.tanh(x)\n    return x"),
        function("return x.tanh().tanh().tanh()"),
    ),
}
OTHER = {
    "an operator": (RELU, function("return torch.tanh(x)")),
    "a rank": (RELU, function("return torch.relu(x)", "[64, 32, 16]")),
    "a broadcast": (function("return x + y", TWO, "x, y"), function("return x + y", "[64, 32];[32]", "x, y")),
    "an extent of 1": (function("return x * 2"), function("return x * 2", "[64, 1]")),
    "an axis": (function("return x.sum(0)"), function("return x.sum(1)")),
    "a number": (function("return x * 2"), function("return x * 3")),
    "the sides of a difference": (
        function("return torch.exp(x) - y", TWO, "x, y"),
        function("return y - torch.exp(x)", TWO, "x, y"),
    ),
    "a factor of one operand": (
        function("return torch.add(x, torch.exp(y), alpha=2)", TWO, "x, y"),
        function("return torch.add(torch.exp(y), x, alpha=2)", TWO, "x, y"),
    ),
    "one input twice": (function("return x * y", TWO, "x, y"), function("return x * x + 0 * y", TWO, "x, y")),
    "a stride": (
        model("self.c = nn.Conv2d(3, 16, 3, stride=1)", "return self.c(x)", "[4, 3, 32, 32]"),
        model("self.c = nn.Conv2d(3, 16, 3, stride=2)", "return self.c(x)", "[4, 3, 32, 32]"),
    ),
    "what is written into a slice": (
        function("y = x.clone()\n    y[:, 0] = torch.exp(x[:, 1])\n    return y"),
        function("y = x.clone()\n    y[:, 0] = torch.sin(x[:, 1])\n    return y"),
    ),
    "a dtype": (function("return x.half() * 2"), function("return x * 2")),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_task_has_the_same_graph(name):
    one, other = map(graph, SAME[name])
    assert one == other and len(one) == 64


@pytest.mark.parametrize("name", OTHER)
def test_another_task_has_another_graph(name):
    one, other = map(graph, OTHER[name])
    assert one != other and len(one) == len(other) == 64


def test_what_cannot_be_recorded_without_much_computing_has_none():
    branch = "return x if x.sum() > 0 else -x"
    assert graph(function(branch, "[64, 32]"))
    assert graph(function(branch, "[4096, 4096]")) == ""


def test_a_deep_graph_is_recorded():
    program = function("for _ in range(3000):\n        x = torch.tanh(x)\n    return x")
    assert len(graph(program)) == 64
