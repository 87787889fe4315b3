"""Eight kernels of the kinds that models write, with inputs and outputs: the mix that speed is quoted for.

Also the correctness suite of the `simt` backend (tests/evaluation/backends/simt/test_backend.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.backends.base import Run
from evaluation.plan import Buffer, BufferArgument, Extent, Plan, PlannedLaunch, Role
from evaluation.problem import Tensor

KERNELS = Path(__file__).parent / "kernels"

Launch = tuple[str, Extent, Extent, int, Sequence[str | int | float]]


@dataclass(frozen=True)
class Case:
    """A source, one run of it, and what its outputs should be."""

    name: str
    source: str
    run: Run
    expected: dict[str, np.ndarray]
    tolerance: float

    @property
    def kernels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(launch.kernel for launch in self.run.plan.launches))

    def error(self, outputs: dict[str, np.ndarray]) -> float:
        """Largest relative error (L2 norm) over the outputs."""
        errors = []
        for name, expected in self.expected.items():
            got = outputs[name]
            values = bfloat16_to_float(got) if got.dtype == np.uint16 else got.astype(np.float64)
            wanted = np.asarray(expected, np.float64).reshape(values.shape)
            errors.append(np.linalg.norm(values - wanted) / max(np.linalg.norm(wanted), 1e-30))
        return float(np.max(errors))


def float_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Truncate to bfloat16, as uint16 patterns (exactly representable test data)."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def bfloat16_to_float(patterns: np.ndarray) -> np.ndarray:
    return (patterns.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def make_run(
    launches: Sequence[Launch],
    inputs: dict[str, np.ndarray],
    outputs: dict[str, tuple[tuple[int, ...], str]],
    scratch: dict[str, tuple[tuple[int, ...], str]] | None = None,
) -> Run:
    """Build a Run; uint16 inputs are bfloat16, and the launch's strings are buffer names."""
    buffers = [_buffer(name, array.shape, _dtype_name(array), Role.INPUT) for name, array in inputs.items()]
    buffers += [_buffer(name, shape, dtype, Role.OUTPUT) for name, (shape, dtype) in outputs.items()]
    buffers += [_buffer(name, shape, dtype, Role.SCRATCH) for name, (shape, dtype) in (scratch or {}).items()]
    planned = [
        PlannedLaunch(
            kernel=kernel, grid=grid, block=block, shared_bytes=shared,
            arguments=tuple(BufferArgument(buffer=a) if isinstance(a, str) else a for a in arguments),
        )
        for kernel, grid, block, shared, arguments in launches
    ]  # fmt: skip
    return Run(Plan(buffers=tuple(buffers), launches=tuple(planned)), inputs)


def _buffer(name: str, shape: tuple[int, ...], dtype: str, role: Role) -> Buffer:
    return Buffer(tensor=Tensor(name=name, shape=shape, dtype=dtype), role=role)


def _dtype_name(array: np.ndarray) -> str:
    return "bfloat16" if array.dtype == np.uint16 else array.dtype.name


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def cases(scale: int = 1) -> Iterator[Case]:
    """The mix, in a fixed order, from fixed seeds; `scale` multiplies the row counts."""
    for make in (_vecadd, _matmul, _reduce, _softmax, _layernorm, _histogram, _gelu, _transpose):
        yield make(np.random.default_rng(0), scale)


def _case(name: str, run: Run, expected: dict[str, np.ndarray], tolerance: float = 1e-6) -> Case:
    return Case(name, (KERNELS / f"{name}.cu").read_text(), run, expected, tolerance)


def _vecadd(rng: np.random.Generator, scale: int) -> Case:
    n = 100_003 * scale
    a, b = rng.standard_normal((2, n), dtype=np.float32)
    launch: Launch = ("vecadd", (64, 1, 1), (256, 1, 1), 0, ["a", "b", "c", n])
    return _case("vecadd", make_run([launch], {"a": a, "b": b}, {"c": ((n,), "float32")}), {"c": a + b}, 0.0)


def _matmul(rng: np.random.Generator, scale: int) -> Case:
    m, n, k = 64 * scale, 80, 96
    a, b = rng.standard_normal((m, k), dtype=np.float32), rng.standard_normal((k, n), dtype=np.float32)
    grid = (_ceil_div(n, 16), _ceil_div(m, 16), 1)
    launch: Launch = ("matmul", grid, (16, 16, 1), 0, ["A", "B", "C", m, n, k])
    return _case(
        "matmul", make_run([launch], {"A": a, "B": b}, {"C": ((m, n), "float32")}), {"C": a.astype("f8") @ b}
    )


def _reduce(rng: np.random.Generator, scale: int) -> Case:
    n = 100_003 * scale
    x = rng.standard_normal(n, dtype=np.float32)
    launches: list[Launch] = [
        ("reduce_pass1", (64, 1, 1), (256, 1, 1), 0, ["x", "scratch", n]),
        ("reduce_pass2", (1, 1, 1), (256, 1, 1), 0, ["scratch", "out", 64]),
    ]
    run = make_run(launches, {"x": x}, {"out": ((1,), "float32")}, {"scratch": ((64,), "float32")})
    return _case("reduce2", run, {"out": x.sum(dtype=np.float64, keepdims=True)}, 1e-5)


def _softmax(rng: np.random.Generator, scale: int) -> Case:
    rows, columns = 32 * scale, 1000
    x = rng.standard_normal((rows, columns), dtype=np.float32)
    weights = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    launch: Launch = ("softmax", (rows, 1, 1), (256, 1, 1), 4 * (columns + 32), ["x", "y", rows, columns])
    run = make_run([launch], {"x": x}, {"y": (x.shape, "float32")})
    return _case("softmax", run, {"y": weights / weights.sum(1, keepdims=True)})


def _layernorm(rng: np.random.Generator, scale: int) -> Case:
    rows, columns = 32 * scale, 768
    x = rng.standard_normal((rows, columns)).astype(np.float16)
    g, b = rng.standard_normal((2, columns), dtype=np.float32)
    v = x.astype(np.float64)
    expected = (v - v.mean(1, keepdims=True)) / np.sqrt(v.var(1, keepdims=True) + 1e-5) * g + b
    launch: Launch = ("layernorm", (rows, 1, 1), (256, 1, 1), 0, ["x", "g", "b", "y", rows, columns, 1e-5])
    return _case(
        "layernorm",
        make_run([launch], {"x": x, "g": g, "b": b}, {"y": (x.shape, "float16")}),
        {"y": expected},
        1e-3,
    )


def _histogram(rng: np.random.Generator, scale: int) -> Case:
    n = 100_003 * scale
    d = rng.integers(0, 256, n, dtype=np.uint8)
    launches: list[Launch] = [
        ("zero", (1, 1, 1), (256, 1, 1), 0, ["h", 256]),
        ("histogram", (32, 1, 1), (256, 1, 1), 0, ["d", "h", n]),
    ]
    run = make_run(launches, {"d": d}, {"h": ((256,), "int32")})
    return _case("histogram", run, {"h": np.bincount(d, minlength=256)}, 0.0)


def _gelu(rng: np.random.Generator, scale: int) -> Case:
    x, bias = (
        float_to_bfloat16(rng.standard_normal(64 * 512 * scale)),
        float_to_bfloat16(rng.standard_normal(512)),
    )
    v = (bfloat16_to_float(x).reshape(-1, 512) + bfloat16_to_float(bias)).ravel()
    expected = 0.5 * v * (1 + np.tanh(0.7978845608 * (v + 0.044715 * v**3)))
    launch: Launch = (
        "bias_gelu",
        (_ceil_div(x.size, 256), 1, 1),
        (256, 1, 1),
        0,
        ["x", "b", "y", x.size, 512],
    )
    return _case(
        "gelu_bf16",
        make_run([launch], {"x": x, "b": bias}, {"y": (x.shape, "bfloat16")}),
        {"y": expected},
        4e-3,
    )


def _transpose(rng: np.random.Generator, scale: int) -> Case:
    width, height = 200, 130 * scale
    image = rng.standard_normal((height, width), dtype=np.float32)
    grid = (_ceil_div(width, 32), _ceil_div(height, 32), 1)
    launch: Launch = ("transpose", grid, (32, 8, 1), 0, ["i", "o", width, height])
    return _case(
        "transpose",
        make_run([launch], {"i": image}, {"o": ((width, height), "float32")}),
        {"o": image.T},
        0.0,
    )
