"""A program as a small operator graph, and its text in the `fused_operator` dialect.

A graph is a sequence of operators over at most two inputs, `x` and `y`: each step takes the value
before it, and a binary step takes `x` or `y` besides. It renders to a PyTorch program whose sizes
are module-level constants, and to a `Problem` at the sizes that its layout is shipped and checked at.
What is not covered: several outputs, more than two inputs, dtypes other than float32.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from data.operators import OPERATORS, POINTWISE, STRUCTURED, Family, Operator
from evaluation.problem import Dialect, Instance, Problem, Split, Tensor
from evaluation.programs import sizes

Sizes = Mapping[str, int]


class Layout(StrEnum):
    """Shapes of the inputs, by size names."""

    VECTOR = "vector"  #: x [n], y [n]
    MATRIX = "matrix"  #: x [m, n], y [m, n]
    BROADCAST = "broadcast"  #: x [m, n], y [n]
    MATMUL = "matmul"  #: x [m, k], y [k, n]


#: Shapes of `x` and `y` by size names.
_SHAPES: dict[Layout, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Layout.VECTOR: (("n",), ("n",)),
    Layout.MATRIX: (("m", "n"), ("m", "n")),
    Layout.BROADCAST: (("m", "n"), ("n",)),
    Layout.MATMUL: (("m", "k"), ("k", "n")),
}
_MATRIX_ALIGNED = ({"m": 64, "n": 48}, {"m": 128, "n": 32})
_MATRIX_CHECKS = ({"m": 37, "n": 45}, {"m": 70, "n": 64})
#: Small sizes near which a kernel is judged, on a CPU, in a few thousand elements.
_CHECKS: dict[Layout, tuple[Sizes, ...]] = {
    Layout.VECTOR: ({"n": 1000}, {"n": 4133}),
    Layout.MATRIX: _MATRIX_CHECKS,
    Layout.BROADCAST: _MATRIX_CHECKS,
    Layout.MATMUL: ({"m": 19, "n": 37, "k": 23}, {"m": 33, "n": 20, "k": 45}),
}
_LADDER_ELEMENTS = 160_000
"""Of the largest tensor at the long sizes: every problem of a night is tried at some of them."""
#: A few elements in a row: in a longer one the extremes of one input can hide all of the other.
_NARROW: dict[Layout, Sizes] = {
    Layout.VECTOR: {"n": 67},
    Layout.MATRIX: {"m": 67, "n": 3},
    Layout.BROADCAST: {"m": 67, "n": 3},
    Layout.MATMUL: {"m": 19, "n": 3, "k": 5},
}
#: Small multiples of the usual blocks: exact grids are right here. The matrices hold multiples of
#: 256 elements, have multiples of 64 rows, and both extents are multiples of 16.
_ALIGNED: dict[Layout, tuple[Sizes, ...]] = {
    Layout.VECTOR: ({"n": 1024}, {"n": 2048}),
    Layout.MATRIX: _MATRIX_ALIGNED,
    Layout.BROADCAST: _MATRIX_ALIGNED,
    Layout.MATMUL: ({"m": 32, "n": 48, "k": 16}, {"m": 16, "n": 32, "k": 64}),
}
#: What the sizes of a shipped program are drawn from; m, n and k never coincide, so that a shape
#: can be told from its numbers.
_SHIPPED: dict[Layout, dict[str, tuple[int, ...]]] = {
    Layout.VECTOR: {"n": (1 << 20, 1 << 22, 1 << 24, 3_000_000, 10_000_000)},
    Layout.MATRIX: {"m": (4096, 8192, 16384), "n": (512, 1024, 2048, 1536)},
    Layout.BROADCAST: {"m": (4096, 8192, 16384), "n": (512, 1024, 2048, 1536)},
    Layout.MATMUL: {"m": (1024, 2048, 4096), "n": (768, 1536, 3072), "k": (512, 640, 896)},
}


@dataclass(frozen=True)
class Step:
    """One operator; a binary one names its other operand and on which side it stands."""

    operator: Operator
    operand: str | None = None
    swapped: bool = False

    def torch(self, value: str) -> str:
        """PyTorch expression of this step applied to `value`."""
        return self.operator.torch.format(*self.operands(value, self.operand))

    def operands(self, value: str, other: str | None) -> tuple[str, ...]:
        """The names to fill into a template: `value`, and `other` on its side."""
        if other is None:
            return (value,)
        return (other, value) if self.swapped else (value, other)


@dataclass(frozen=True)
class Graph:
    """Operators in order of application, and the layout of the inputs."""

    steps: tuple[Step, ...]
    layout: Layout

    @property
    def operators(self) -> tuple[str, ...]:
        """Operator names in order of application."""
        return tuple(step.operator.name for step in self.steps)

    @property
    def combination(self) -> tuple[str, ...]:
        """What splits go by: the sorted operator names."""
        return tuple(sorted(self.operators))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Argument names of the program."""
        reads_y = self.layout is Layout.MATMUL or any(step.operand == "y" for step in self.steps)
        return ("x", "y") if reads_y else ("x",)

    @property
    def size_names(self) -> tuple[str, ...]:
        """Named sizes, as the program declares them."""
        return {Layout.VECTOR: ("n",), Layout.MATMUL: ("m", "n", "k")}.get(self.layout, ("m", "n"))

    @property
    def core(self) -> int | None:
        """Index of the step that is not elementwise, if there is one (there is at most one)."""
        for index, step in enumerate(self.steps):
            if step.operator.family in STRUCTURED or step.operator.family is Family.REDUCTION:
                return index
        return None

    def shape(self, name: str) -> tuple[str, ...]:
        """Shape of input `x` or `y` by size names."""
        return _SHAPES[self.layout]["xy".index(name)]

    @property
    def output_shape(self) -> tuple[str, ...]:
        """Shape of the output by size names."""
        core = self.core
        family = None if core is None else self.steps[core].operator.family
        if family is Family.REDUCTION:
            return ("m",)
        if family is Family.TRANSPOSE:
            return ("n", "m")
        return ("m", "n") if family is Family.MATMUL else self.shape("x")

    def without(self, index: int) -> Graph:
        """The same graph with one step dropped (it may change the shape of the output)."""
        return replace(self, steps=self.steps[:index] + self.steps[index + 1 :])

    def body(self) -> str:
        """The statements of the function, one intermediate per line, indented by four blanks."""
        lines, value = [], "x"
        for name, step in zip("abc", self.steps[:-1], strict=False):
            lines.append(f"{name} = {step.torch(value)}")
            value = name
        lines.append(f"return {self.steps[-1].torch(value)}")
        return "\n".join(f"    {line}" for line in lines)

    def program(self, extents: Sizes) -> str:
        """Program text at the given sizes."""
        uses_functional = any("F." in step.operator.torch for step in self.steps)
        constants = "\n".join(f"{name} = {extents[name]}" for name in self.size_names)
        tensors = ", ".join(f"torch.randn({', '.join(self.shape(name))})" for name in self.inputs)
        return (
            "import torch\n"
            + ("import torch.nn.functional as F\n" if uses_functional else "")
            + f"\n{constants}\n\n\n"
            + f"def get_inputs():\n    return [{tensors}]\n\n\n"
            + f"def fused_operator({', '.join(self.inputs)}):\n{self.body()}\n"
        )

    def instance(self, extents: Sizes) -> Instance:
        """The program at the given sizes, with its tensors (all float32)."""

        def tensor(name: str, shape: tuple[str, ...]) -> Tensor:
            return Tensor(name=name, shape=tuple(extents[size] for size in shape), dtype="float32")

        return Instance(
            program=self.program(extents),
            sizes=dict(extents),
            inputs=tuple(tensor(name, self.shape(name)) for name in self.inputs),
            outputs=(tensor("out", self.output_shape),),
        )

    def check_instance(self) -> Instance:
        """Ragged sizes that are always the same: where a drawn graph is screened."""
        return self.instance(_CHECKS[self.layout][0])

    def narrow_instance(self) -> Instance:
        """Sizes at which an input shows whose influence is lost at the usual ones."""
        return self.instance(_NARROW[self.layout])

    def problem(self, split: Split, tolerance: float, seed: str = "") -> Problem:
        """The problem of this graph; its shipped sizes and its id follow from the graph alone.

        The sizes that it is judged at are drawn from `seed`, too, but for the aligned ones.
        """
        shipped = self.instance(self._shipped_sizes())
        digest = hashlib.sha256(shipped.program.encode()).hexdigest()
        rng = random.Random(f"{seed}/{digest}")
        return Problem(
            id=f"gen-{digest[:12]}",
            source="generated",
            level=len(self.steps),
            split=split,
            dialect=Dialect.FUNCTION,
            operators=self.operators,
            shipped=shipped,
            checks=tuple(self.instance(_near(extents, rng)) for extents in _CHECKS[self.layout]),
            ladder=tuple(self._ladder(shipped.sizes, rng)),
            aligned=tuple(self.instance(extents) for extents in _ALIGNED[self.layout]),
            tolerance=tolerance,
            flops=self._flops(shipped.sizes),
            bytes=sum(tensor.nbytes for tensor in (*shipped.inputs, *shipped.outputs)),
        )

    def _ladder(self, shipped: Sizes, rng: random.Random) -> Iterator[Instance]:
        """Every size long, the others tiny."""
        names = self.size_names
        for position, name in enumerate(names):
            for extent in sizes.rungs(shipped[name], rng):
                found = sizes.tiny(len(names), rng, least=2)
                found[position] = extent
                instance = self.instance(dict(zip(names, found, strict=True)))
                if max(tensor.numel for tensor in (*instance.inputs, *instance.outputs)) <= _LADDER_ELEMENTS:
                    yield instance

    def _shipped_sizes(self) -> Sizes:
        """Sizes drawn from the graph's own text, so that the same graph is always the same program."""
        rng = random.Random(f"{self.layout}/{self.body()}")
        return {name: rng.choice(choices) for name, choices in _SHIPPED[self.layout].items()}

    def _flops(self, extents: Sizes) -> int:
        """Estimate at the given sizes: each step costs its operator's count per element it reads."""
        total, shape = 0, self.shape("x")
        for step in self.steps:
            elements = math.prod(extents[size] for size in shape)
            if step.operator.family is Family.MATMUL:
                total, shape = total + 2 * elements * extents["n"], ("m", "n")
            else:
                total += step.operator.flops * elements
        return total


def _near(extents: Sizes, rng: random.Random) -> Sizes:
    """Ragged sizes within a fifth of the given ones."""
    return {
        name: sizes.ragged(round(0.8 * extent), round(1.2 * extent), rng) for name, extent in extents.items()
    }


def pointwise(name: str) -> Step:
    """A step of an operator that takes nothing but the value before it."""
    operator = OPERATORS[name]
    if operator.family is Family.BINARY:
        raise ValueError(f"{name} needs a second operand")
    return Step(operator)


def fits(combination: tuple[str, ...]) -> bool:
    """Whether the operators can make one graph.

    At most one is a reduction or structured, and a structured one takes pointwise company only.
    """
    families = [OPERATORS[name].family for name in combination]
    cores = [family for family in families if family in STRUCTURED or family is Family.REDUCTION]
    if not cores:
        return True
    company_is_pointwise = all(family in POINTWISE for family in families if family not in cores)
    return len(cores) == 1 and (cores[0] is Family.REDUCTION or company_is_pointwise)
