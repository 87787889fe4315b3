"""What an operator states about itself; see the package's docstring for how one is added."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from data.operators import extents
from data.operators.dims import KINDS, Kind
from data.operators.domains import ANY, Domain
from data.operators.signature import Signature, parse
from data.settings import KernelStyle
from evaluation.expressions import Expression, Number, Scope, Size, evaluate_integer

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel

Attribute: TypeAlias = bool | int | float
Writer: TypeAlias = "Callable[[Kernel], None]"
"""Writes the body of a kernel for one node of a graph, whatever its neighbours are."""


@dataclass(frozen=True)
class Fold:
    """One pass over a row that folds a term per element into an accumulator.

    `update` also merges two partial accumulators, which is what shared-memory and shuffle
    reductions do with it.
    """

    accumulator: str
    start: str
    update: str
    term: str = "{x}"


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator, with all that anyone needs to know of it; equal to itself alone."""

    name: str
    """That of torch's function, so that published programs fall into the same combinations."""
    torch: str
    """PyTorch expression, with operands, dimensions and attributes in braces. Several results are a tuple."""
    signature: str
    """Shapes of operands and results: see `data.operators.signature`."""
    cuda: str = ""
    """C expression of a result's element: of the operands' elements, or of `{x}` and the accumulators for an
    operator that folds rows. Operands are local variables or literals, so it may use one twice."""
    folds: tuple[Fold, ...] = ()
    """Passes over a row, in order."""
    flops: int | str = 1
    """Floating-point operations: an expression of dimensions, attributes and numel(tensor), or a number
    for each element of the first operand, of the result if elementwise (a special function counts 4)."""
    reads: Mapping[str, str] = field(default_factory=dict)
    """Elements that are read of an operand, as an expression, where those are not all."""
    attributes: Mapping[str, Sequence[Attribute]] = field(default_factory=dict)
    """Values that a draw may take; the first is the default. They are literals in programs and kernels."""
    domains: Mapping[str, Domain] = field(default_factory=dict)
    """What operands hold, where that is not `ANY`."""
    dims: Mapping[str, Kind] = field(default_factory=dict)
    """Kinds of dimensions that are not those of their names (`data.operators.dims`). These come first in the
    order of the dimensions."""
    room: tuple[str, ...] = ()
    """Expressions of dimensions and attributes that have to be 1 or more, where PyTorch asks for more than
    that no tensor is empty."""
    dtypes: tuple[str, ...] = ("float32", "float16", "bfloat16")
    """Floating-point dtypes that it takes."""
    writers: Mapping[KernelStyle, Writer] = field(default_factory=dict)
    """Kernels by style; none for an elementwise operator, which is fused and has all elementwise styles."""

    @cached_property
    def shapes(self) -> Signature:
        """The signature, read."""
        return parse(self.signature)

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """Names of the operands."""
        return tuple(pattern.name for pattern in self.shapes.operands)

    @property
    def elementwise(self) -> bool:
        """Whether each result element needs one element of every operand, so that it can be fused."""
        return not self.writers

    @cached_property
    def dimensions(self) -> dict[str, Kind]:
        """Names and kinds of the dimensions, in the order in which kernels take them."""
        aliases = {name for pattern in self.shapes.results for name, _ in pattern.named}
        names = [name for name in self.shapes.names if name not in self.attributes and name not in aliases]
        return {name: self.dims.get(name) or KINDS[name] for name in dict.fromkeys((*self.dims, *names))}

    def domain(self, operand: str) -> Domain:
        """What an operand holds."""
        return self.domains.get(operand, ANY)

    def __reduce__(self) -> tuple[Callable[[str], Operator], tuple[str]]:
        """Another process has operators of its own: there it is the one of this name."""
        return _of_this_name, (self.name,)

    def given(self, attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
        """All attributes, with their defaults where none is given."""
        unknown = attributes.keys() - self.attributes.keys()
        if unknown:
            raise ValueError(f"{self.name} has no attribute {min(unknown)}")
        return {name: attributes.get(name, values[0]) for name, values in self.attributes.items()}

    def count(self, text: str, sizes: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> int:
        """The value of `flops` or `reads` where dimensions and attributes, and tensors, are these."""
        return evaluate_integer(extents.read(text), Scope(sizes, shapes))

    def __post_init__(self) -> None:
        """Refuse an entry whose parts do not fit together, when the package is imported."""
        unknown = {name for name in self.attributes.keys() & self.dimensions.keys()}
        fields = {name for _, name, _, _ in string.Formatter().parse(self.torch) if name}
        unknown |= fields - {*self.operands, *self.dimensions, *self.attributes}
        unknown |= set(self.operands) - fields
        unknown |= {*self.domains, *self.reads} - set(self.operands)
        if unknown:
            raise ValueError(
                f"operator {self.name}: {min(unknown)} does not fit its signature {self.signature!r}"
            )


def _of_this_name(name: str) -> Operator:
    from data.operators.registry import OPERATORS

    return OPERATORS[name]


def literals(attributes: Mapping[str, Attribute]) -> dict[str, Expression]:
    """Attributes as they stand in extents."""
    return {name: Number(int(value)) for name, value in attributes.items() if not isinstance(value, float)}


def free(name: str) -> Size:
    """A dimension of a signature that stands for nothing yet; no size of a graph has such a name."""
    return Size(f".{name}")
