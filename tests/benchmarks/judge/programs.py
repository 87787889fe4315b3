"""The PyTorch programs of the benchmark, in the manner of published problem sets, and how we run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Sizes = Mapping[str, int]

_MATRICES: tuple[Sizes, ...] = (
    {"rows": 37, "cols": 45},
    {"rows": 5, "cols": 1301},
    {"rows": 130, "cols": 68},
    {"rows": 3, "cols": 4100},
)
_VECTORS: tuple[Sizes, ...] = ({"n": 1000}, {"n": 4133}, {"n": 129}, {"n": 70001})
_IMAGES: tuple[Sizes, ...] = (
    {"batch": 2, "channels": 3, "height": 13, "width": 17},
    {"batch": 3, "channels": 5, "height": 20, "width": 9},
)


_IMPORTS = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


@dataclass(frozen=True)
class Program:
    """A reference program whose first line sets its sizes."""

    name: str
    body: str
    """All lines but the first."""
    shipped: Sizes
    published: Sizes
    """The shipped sizes scaled down, as even as they are: for the published procedure on a CPU."""
    witness: tuple[Sizes, ...]
    """Sizes at which witnesses look for a difference."""
    any_input: bool = True
    """Whether floating inputs may be any number; otherwise only the program's own draws are used."""

    def text(self, sizes: Sizes | None = None) -> str:
        """The program at some sizes (default: the shipped ones)."""
        chosen = sizes or self.shipped
        names, values = ", ".join(self.shipped), ", ".join(str(chosen[name]) for name in self.shipped)
        return f"{names} = {values}\n{_IMPORTS}\n{self.body}"

    def loaded(self, sizes: Sizes) -> Loaded:
        """Run the text and give its functions."""
        scope: dict = {}
        exec(self.text(sizes), scope)
        return Loaded(scope)


class Loaded:
    """A program at one choice of sizes."""

    def __init__(self, scope: Mapping) -> None:
        self._draw: Callable[[], list[torch.Tensor]] = scope["get_inputs"]
        self._module: torch.nn.Module | None = None
        if "Model" in scope:
            self._module = scope["Model"](*scope["get_init_inputs"]())
            self._names = list(scope["Model"].forward.__code__.co_varnames[1:])
            self._function: Callable = self._module
        else:
            self._function = scope["fused_operator"]
            self._names = list(self._function.__code__.co_varnames)

    def draw(self, seed: int) -> dict[str, torch.Tensor]:
        """The program's own inputs, and parameters near those that it starts with."""
        torch.manual_seed(seed)
        inputs = dict(zip(self._names, self._draw(), strict=False))
        for name, value in self._parameters().items():
            inputs[name.replace(".", "_")] = value + 0.3 * torch.randn_like(value)
        return inputs

    def reference(self, inputs: Mapping[str, torch.Tensor], *, double: bool = True) -> torch.Tensor:
        """The output, worked out in float64 unless `double` is false."""
        given = {name: _double(value) if double else value for name, value in inputs.items()}
        parameters = {name: given.pop(name.replace(".", "_")) for name in self._parameters()}
        with torch.no_grad():
            if self._module is None:
                return self._function(*given.values())
            return torch.func.functional_call(self._module, parameters, tuple(given.values()))

    def output_like(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """A tensor of the output's own shape and dtype."""
        return torch.empty_like(self.reference(inputs, double=False)).contiguous()

    def _parameters(self) -> dict[str, torch.Tensor]:
        return {} if self._module is None else dict(self._module.named_parameters())


def _double(value: torch.Tensor) -> torch.Tensor:
    return value.double() if value.is_floating_point() else value


def _inputs(*tensors: str) -> str:
    return f"\n\n\ndef get_inputs():\n    return [{', '.join(tensors)}]\n"


def _function(arguments: str, result: str, *tensors: str) -> str:
    return f"\ndef fused_operator({arguments}):\n    return {result}{_inputs(*tensors)}"


def _module(layer: str, result: str, initial: str, *tensors: str, arguments: str = "x") -> str:
    names = initial.replace(" ", "")
    return (
        f"\nclass Model(nn.Module):\n    def __init__(self, {names}):\n        super().__init__()\n"
        f"        self.layer = {layer}\n\n    def forward(self, {arguments}):\n        return {result}"
        f"{_inputs(*tensors)}\n\ndef get_init_inputs():\n    return [{names}]\n"
    )


_X, _N = "torch.randn(rows, cols)", "torch.randn(n)"
_IMAGE = "torch.randn(batch, channels, height, width)"


def _matrix(name: str, arguments: str, result: str, *tensors: str, any_input: bool = True) -> Program:
    return Program(
        name, _function(arguments, result, *(tensors or (_X,))), {"rows": 4096, "cols": 4096},
        {"rows": 128, "cols": 512}, _MATRICES, any_input,
    )  # fmt: skip


def _vector(name: str, arguments: str, result: str, *tensors: str, any_input: bool = True) -> Program:
    return Program(
        name, _function(arguments, result, *(tensors or (_N,))), {"n": 4194304}, {"n": 65536},
        _VECTORS, any_input,
    )  # fmt: skip


def _product(name: str, arguments: str, result: str, *tensors: str) -> Program:
    witness = ({"m": 37, "n": 45, "k": 29}, {"m": 5, "n": 130, "k": 67}, {"m": 70, "n": 33, "k": 300})
    return Program(
        name, _function(arguments, result, *tensors), {"m": 1024, "n": 1024, "k": 2048},
        {"m": 64, "n": 64, "k": 128}, witness,
    )  # fmt: skip


def _factors(dtype: str) -> tuple[str, str]:
    return f"torch.randn(m, k, {dtype})", f"torch.randn(k, n, {dtype})"


def _image(name: str, body: str, **shipped: int) -> Program:
    sizes = {"batch": 16, "channels": 32, "height": 128, "width": 128, **shipped}
    small = {"batch": 4, "channels": 8, "height": 32, "width": 32, **{name: 8 for name in shipped}}
    witness = tuple({**size, **{name: 7 for name in shipped}} for size in _IMAGES)
    return Program(name, body, sizes, small, witness)


_HALF, _BFLOAT = "dtype=torch.float16", "dtype=torch.bfloat16"
_Y = "torch.randn(rows, cols)"

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        _vector("leaky_relu", "x", "F.leaky_relu(x, 0.1)"),
        _matrix("gelu", "x", "F.gelu(x, approximate='tanh')"),
        _matrix("silu_mul", "x, y", "F.silu(x) * y", _X, _Y),
        _vector("clamp", "x", "torch.clamp(x * 1.5 + 0.5, -1.0, 2.0)"),
        _vector("softsign", "x", "x / (1 + torch.abs(x))", "torch.rand(n)"),
        _matrix("scale_shift", "x, w, b", "x * w + b", _X, "torch.randn(cols)", "torch.randn(cols)"),
        _vector("axpy_half", "x, y", "x * 1.5 + y", f"torch.randn(n, {_HALF})", f"torch.randn(n, {_HALF})"),
        _vector("silu_bfloat", "x", "F.silu(x)", f"torch.randn(n, {_BFLOAT})"),
        _matrix("tril", "x", "torch.tril(x)"),
        _matrix("row_sum", "x", "x.sum(dim=1)"),
        _matrix("row_max", "x", "x.amax(dim=1)", "torch.rand(rows, cols)"),
        _matrix("mean_square", "x", "(x * x).mean(dim=1)"),
        _matrix("mean_abs", "x", "x.abs().mean(dim=1)", "torch.rand(rows, cols)"),
        _matrix("logsumexp", "x", "torch.logsumexp(x, dim=1)"),
        _matrix("row_norm", "x", "torch.sqrt((x * x).sum(dim=1))"),
        _matrix("row_sum_half", "x", "x.sum(dim=1)", f"torch.rand(rows, cols, {_HALF})", any_input=False),
        _matrix("argmax", "x", "torch.argmax(x, dim=1)"),
        _matrix("argmin", "x", "torch.argmin(x, dim=1)", "torch.rand(rows, cols)"),
        _matrix("column_sum", "x", "x.sum(dim=0)"),
        _matrix("column_max", "x", "x.amax(dim=0)"),
        _vector("mse_loss", "x, y", "F.mse_loss(x, y)", _N, _N),
        _vector("smooth_l1_loss", "x, y", "F.smooth_l1_loss(x, y)", "torch.rand(n)", "torch.rand(n)"),
        _vector(
            "hinge_loss", "x, y", "torch.mean(torch.clamp(1 - x * y, min=0))", "torch.rand(n)", _N
        ),
        _matrix(
            "cross_entropy", "x, labels", "F.cross_entropy(x, labels)", _X, "torch.randint(0, cols, (rows,))"
        ),
        _matrix("softmax", "x", "torch.softmax(x, dim=1)"),
        _matrix("log_softmax", "x", "torch.log_softmax(x, dim=1)"),
        _matrix("rms_norm", "x", "x * torch.rsqrt((x * x).mean(dim=1, keepdim=True) + 1e-5)"),
        _matrix("unit_rows", "x", "F.normalize(x, dim=1)"),
        _matrix("softmax_bfloat", "x", "torch.softmax(x, dim=1)", f"torch.randn(rows, cols, {_BFLOAT})"),
        Program(
            "layer_norm", _module("nn.LayerNorm(cols)", "self.layer(x)", "cols", _X),
            {"rows": 4096, "cols": 4096}, {"rows": 128, "cols": 512}, _MATRICES,
        ),
        _image("instance_norm", _module("nn.InstanceNorm2d(channels)", "self.layer(x)", "channels", _IMAGE)),
        _product("matmul", "x, y", "x @ y", "torch.randn(m, k)", "torch.randn(k, n)"),
        _product("matmul_tn", "x, y", "x.T @ y", "torch.randn(k, m)", "torch.randn(k, n)"),
        _product("matmul_half", "x, y", "x @ y", *_factors(_HALF)),
        _product("matmul_bfloat", "x, y", "x @ y", *_factors(_BFLOAT)),
        Program(
            "linear_relu",
            _module("nn.Linear(k, n)", "torch.relu(self.layer(x)) * 0.5", "k, n", "torch.randn(m, k)"),
            {"m": 1024, "n": 1024, "k": 2048}, {"m": 64, "n": 64, "k": 128},
            ({"m": 37, "n": 45, "k": 29}, {"m": 5, "n": 130, "k": 67}, {"m": 70, "n": 33, "k": 300}),
        ),
        _matrix("matvec", "x, y", "x @ y", _X, "torch.randn(cols)"),
        _matrix("transpose", "x", "x.T.contiguous()"),
        _matrix("cumsum", "x", "torch.cumsum(x, dim=1)"),
        _matrix("reverse_cumsum", "x", "torch.flip(torch.cumsum(torch.flip(x, [1]), dim=1), [1])"),
        _image(
            "conv2d",
            _module(
                "nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)", "self.layer(x)",
                "channels, out_channels", _IMAGE,
            ), out_channels=32,
        ),
        _image(
            "depthwise",
            _module(
                "nn.Conv2d(channels, channels, 3, padding=2, dilation=2, groups=channels, bias=False)",
                "torch.relu(self.layer(x))", "channels", _IMAGE,
            ),
        ),
        _image("max_pool", _function("x", "F.max_pool2d(x, 3, stride=2, padding=1)", _IMAGE)),
        _image("avg_pool", _function("x", "F.avg_pool2d(x, 3, stride=2, padding=1)", _IMAGE)),
    )
}  # fmt: skip
"""Every program by name."""
