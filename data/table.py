"""The problem table: what the gate judges, one row per problem.

Most columns follow from the problem itself. What its reference really computed is measured on the
first check instance and kept in outputs.csv, beside problems.jsonl.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from evaluation.problem import Instance, Problem, Tensor
from evaluation.reference.draw import Draw, Kind
from evaluation.reference.syntax import program_identity
from evaluation.tolerance import widen

if TYPE_CHECKING:
    from evaluation.reference.pool import ReferencePool

#: Seed of the inputs that outputs are measured with.
_SEED = 0
#: From where to where a problem's columns may go: the largest tensor has 64 GiB of float32, and the check
#: sizes take a CPU seconds at most.
LIMITS: dict[str, tuple[float, float]] = {
    "elements": (1, 2**34),
    "check_elements": (1, 2**20),
    "flops": (0, 1e18),
    "bytes": (1, 1e12),
    "tolerance": (1e-7, 0.1),
}
#: An output this close to an input, relative to its largest value, copies it.
_COPY_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Measured:
    """What one run of a problem's reference gave, over all outputs."""

    output_finite: bool
    """Whether no output element is NaN; an infinity may belong to the task (a mask)."""
    output_std: float
    """Smallest standard deviation of any output; 0 for a constant one."""
    output_zero_share: float
    """Largest share of zeros in any output."""
    output_copies_input: bool
    """Whether any output equals an input element by element."""

    @property
    def defect(self) -> str | None:
        """Why the problem is no task, or None."""
        if not self.output_finite:
            return "an output is not finite"
        if self.output_std == 0:
            return "an output is constant"
        return "an output is a copy of an input" if self.output_copies_input else None


#: Columns of outputs.csv.
MEASURED: tuple[str, ...] = ("id", *(field.name for field in fields(Measured)))


@dataclass(frozen=True)
class Row:
    """The columns that follow from a problem."""

    id: str
    source: str
    level: int
    split: str
    split_level: str
    """Split and level, joined by `/`."""
    combination: str
    """Sorted operator names, joined by `+`: what splits go by."""
    program: str
    """Hash of what the program says (layout and names aside)."""
    checks: int
    """Number of sizes that correctness is judged at."""
    aligned: int
    """Number of aligned sizes."""
    resized: bool
    elements: int
    """Elements of the largest tensor at the shipped sizes."""
    check_elements: int
    """Elements of all tensors at the largest check sizes: what the CPU has to process."""
    flops: int
    bytes: int
    tolerance: float


def measure(problem: Problem, reference: ReferencePool) -> Measured:
    """Run the problem's reference once at its first check sizes; raises ProgramError if it fails.

    An output of one value, or of one everywhere, is compared with that of a second run.
    """
    instance = problem.checks[0]
    trial = reference.trial(instance, Draw(Kind.OWN, _SEED))
    inputs = _wide_inputs(instance, trial.inputs)
    outputs = [np.asarray(value, dtype=np.float64) for value in trial.expected.values()]
    finite = not any(bool(np.isnan(value).any()) for value in outputs)
    deviations = [_deviation(value) for value in outputs if np.isfinite(value).any()]
    if 0 in deviations:
        again = reference.trial(instance, Draw(Kind.OWN, _SEED + 1)).expected.values()
        pairs = zip(outputs, again, strict=True)
        both = [np.concatenate([one.ravel(), np.ravel(other)]) for one, other in pairs]
        deviations = [_deviation(value) for value in both if np.isfinite(value).any()]
    return Measured(
        output_finite=finite,
        output_std=min(deviations, default=0.0) if finite else 0.0,
        output_zero_share=max((float((value == 0).mean()) for value in outputs), default=1.0),
        output_copies_input=any(_copies(value, other) for value in outputs for other in inputs),
    )


def _deviation(value: np.ndarray) -> float:
    return float(value[np.isfinite(value)].std())


def unfit(problem: Problem, measured: Measured) -> str | None:
    """Why a problem has no place in the table, or None."""
    columns = asdict(row(problem))
    for name, (least, most) in LIMITS.items():
        if not least <= columns[name] <= most:
            return f"its {name.replace('_', ' ')} are {columns[name]:.4g}; they may be {least:g} to {most:g}"
    return measured.defect


def row(problem: Problem) -> Row:
    """The columns of a problem."""
    shipped = problem.shipped
    return Row(
        id=problem.id,
        source=problem.source,
        level=problem.level,
        split=problem.split.value,
        split_level=f"{problem.split}/{problem.level}",
        combination="+".join(sorted(problem.operators)),
        program=program_identity(shipped.program),
        checks=len(problem.checks),
        aligned=len(problem.aligned),
        resized=problem.unresizable is None,
        elements=max(tensor.numel for tensor in _tensors(shipped)),
        check_elements=max(sum(tensor.numel for tensor in _tensors(check)) for check in problem.checks),
        flops=problem.flops,
        bytes=problem.bytes,
        tolerance=problem.tolerance,
    )


def to_csv(problems: Iterable[Problem], measured: Iterable[Measured]) -> str:
    """The contents of outputs.csv: the same measurements give the same bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, MEASURED, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {"id": problem.id, **asdict(values)} for problem, values in zip(problems, measured, strict=True)
    )
    return text.getvalue()


def _tensors(instance: Instance) -> tuple[Tensor, ...]:
    return (*instance.inputs, *instance.parameters, *instance.outputs)


def _wide_inputs(instance: Instance, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    dtypes = {tensor.name: tensor.dtype for tensor in (*instance.inputs, *instance.parameters)}
    return [
        np.asarray(widen(value, dtypes[name]) if "float" in dtypes[name] else value, dtype=np.float64)
        for name, value in inputs.items()
    ]


def _copies(output: np.ndarray, value: np.ndarray) -> bool:
    if output.shape != value.shape or output.size == 0:
        return False
    return bool(np.allclose(output, value, rtol=0, atol=_COPY_TOLERANCE * float(np.abs(value).max() or 1)))
