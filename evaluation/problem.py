"""What is to be computed: a reference program, its tensors and the sizes it is judged at.

A `Problem` is a row of `problems.jsonl`, the file that `data` writes and every later room
reads. It is a value: building one runs nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum
from math import prod
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
Name = Annotated[str, Field(pattern=f"^{_NAME.pattern}$")]


def is_name(text: str) -> bool:
    """Whether `text` can stand for a tensor or a size in a launch line."""
    return _NAME.fullmatch(text) is not None


Extent = Annotated[int, Field(ge=0, le=1 << 40)]
"""Of one dimension; with the bound on their number, no size of a tensor is too large for a float."""

#: Bytes of one element, by the dtype names that a `Tensor` may carry (torch's, without `torch.`).
DTYPE_BYTES: dict[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip


def numpy_dtype(dtype: str) -> np.dtype:
    """The NumPy dtype that holds a declared one: bfloat16 is kept as uint16 bit patterns."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype)


class Frozen(BaseModel):
    """A value that crosses a room: immutable, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Dialect(StrEnum):
    """How a reference program names its function; both are read as published."""

    MODEL = "model"  #: KernelBench: class `Model`, `get_inputs`, `get_init_inputs`
    FUNCTION = "function"  #: torch2cuda: `fused_operator`, `get_inputs`


class Split(StrEnum):
    """What a problem may be used for; splits never share an operator combination."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELDOUT = "heldout"


class Tensor(Frozen):
    """One contiguous tensor that a kernel receives as a pointer."""

    name: Name
    shape: tuple[Extent, ...] = Field(max_length=25)
    dtype: str = Field(pattern="^(" + "|".join(DTYPE_BYTES) + ")$")

    @property
    def numel(self) -> int:
        """Number of elements (1 for a scalar)."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.numel * DTYPE_BYTES[self.dtype]


class Instance(Frozen):
    """A problem at one choice of its sizes: the rewritten program and what it takes and gives."""

    program: str
    """Python source of the reference program at these sizes."""
    sizes: dict[Name, int]
    """The named sizes, usable in launch lines."""
    inputs: tuple[Tensor, ...]
    """Arguments of the reference function, by its argument names."""
    parameters: tuple[Tensor, ...] = ()
    """Module parameters by state-dict name with dots as underscores (dialect `model` only)."""
    outputs: tuple[Tensor, ...]
    """`out`, or `out0`, `out1`, ... when there are several."""


class Problem(Frozen):
    """One task for the model, with everything that is needed to judge an answer."""

    id: str = Field(min_length=1)
    source: str
    """Where it came from: `generated`, or the name of a source file or folder."""
    level: int = Field(ge=1, le=4)
    """How many operators are combined (generated) or the source's own difficulty."""
    split: Split
    dialect: Dialect
    operators: tuple[str, ...]
    """Operator names in order of application; the sorted tuple is the combination that splits go by."""
    shipped: Instance
    """The sizes of the published program: what the prompt shows and what is timed."""
    checks: tuple[Instance, ...]
    """Small sizes at which correctness is judged, ragged ones and aligned ones; the model never sees them."""
    ladder: tuple[Instance, ...] = ()
    """Longer and larger sizes: a candidate is also judged at those that its constants ask for."""
    aligned: tuple[Instance, ...] = ()
    """Small sizes that are multiples of the usual blocks: SFT kernels are verified here, and the
    report tells correctness here apart from robustness at ragged sizes."""
    unresizable: str | None = None
    """Why the program could not be resized, if it could not (then `checks` holds the shipped sizes)."""
    tolerance: float = Field(gt=0)
    """Allowed error relative to the size of the expected values."""
    flops: int = Field(ge=0)
    """Floating-point operations at the shipped sizes (an estimate from the operators)."""
    bytes: int = Field(gt=0)
    """Bytes of all inputs, parameters and outputs at the shipped sizes: the least traffic possible."""
