"""From a program's text to a `Problem`: its tensors, named sizes, small variants, work and traffic.

Nothing of a program is taken on trust. Its text is parsed (`evaluation.syntax`), rewritten at other
sizes (`evaluation.resize`), and run only in the confined workers of a `ReferencePool`; at its
shipped sizes, which may be huge, only shapes are worked out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.problem import Instance, Name, Problem, Split, Tensor, is_name
from evaluation.reference import Description, ReferencePool, Survey
from evaluation.resize import Style, with_sizes
from evaluation.syntax import (
    ProgramError,
    detect_dialect,
    module_constants,
    operators_of,
    parse,
    sizes_in_use,
    tree_dialect,
)
from evaluation.variants import RELAXATION, SURVEY_LIMIT, find_variants, fits

__all__ = ["ProgramError", "build_problem", "detect_dialect", "problem_from_program"]

#: Allowed relative error by output dtype, besides the dtype's own spacing; the largest counts.
_TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "float16": 2e-3, "bfloat16": 1e-2}


@dataclass(frozen=True)
class Header:
    """What a problem says about itself that its program does not."""

    id: str
    source: str
    level: int
    split: Split
    operators: tuple[str, ...] = ()
    """Operator names; empty takes those of the program's text."""
    tolerance: float | None = None
    """`None` takes the usual one of the output dtypes."""


def problem_from_program(
    text: str,
    *,
    id: str,
    source: str,
    level: int = 1,
    split: Split = Split.HELDOUT,
    operators: Sequence[str] = (),
    reference: ReferencePool,
) -> Problem:
    """Make a problem of a program as published, finding small sizes for it.

    Raises `ProgramError` with the reason when the program does not parse or run, is not
    deterministic, gives degenerate outputs, or is too large for a CPU and cannot be resized.
    """
    header = Header(id, source, level, split, tuple(operators))
    shipped = _survey(text, reference)
    found = find_variants(text, shipped, reference)
    ragged, unresizable = found[Style.RAGGED], None
    if not ragged:
        unresizable = "no rewriting of its size constants runs and stays small enough"
        if not fits(shipped, RELAXATION):
            raise ProgramError(f"the program is too large for the CPU and cannot be resized: {unresizable}")
        ragged = [text]
    return _problem(header, text, shipped, ragged, found[Style.ALIGNED], reference, unresizable)


def build_problem(
    text: str,
    *,
    id: str,
    source: str,
    level: int,
    split: Split,
    operators: Sequence[str] = (),
    tolerance: float | None = None,
    checks: Sequence[Mapping[str, int]],
    aligned: Sequence[Mapping[str, int]] = (),
    reference: ReferencePool,
) -> Problem:
    """Make a problem of a program whose sizes are module-level constants, at the sizes given.

    `checks` and `aligned` map constants' names to their values, one mapping for each instance.
    Raises `ProgramError` as `problem_from_program` does, and for a name that is no such constant.
    """
    header = Header(id, source, level, split, tuple(operators), tolerance)
    shipped = _survey(text, reference)
    programs = [[with_sizes(text, sizes) for sizes in group] for group in (checks, aligned)]
    return _problem(header, text, shipped, programs[0], programs[1], reference)


def _survey(text: str, reference: ReferencePool) -> Survey:
    (shipped,) = reference.survey([text], SURVEY_LIMIT)
    if isinstance(shipped, ProgramError):
        raise shipped
    if not shipped.inputs and not shipped.parameters:
        raise ProgramError("the program has no tensor inputs; `get_inputs` must return at least one tensor")
    return shipped


def _problem(
    header: Header,
    text: str,
    shipped: Survey,
    checks: Sequence[str],
    aligned: Sequence[str],
    reference: ReferencePool,
    unresizable: str | None = None,
) -> Problem:
    """Describe every instance for real, refuse what is no task, and put the record together."""
    names = SizeNames(text, shipped.inputs)
    described = reference.describe_many([*checks, *aligned])
    _require_task(described)
    check_instances = _instances(checks, described[: len(checks)], names)
    aligned_instances = _instances(aligned, described[len(checks) :], names)
    if not check_instances:
        raise ProgramError("the program gives usable outputs at aligned sizes only; it must at any sizes")
    tree = parse(text)
    return Problem(
        id=header.id,
        source=header.source,
        level=header.level,
        split=header.split,
        dialect=tree_dialect(tree),
        operators=header.operators or operators_of(tree),
        shipped=_instance(text, shipped, names),
        checks=tuple(check_instances),
        aligned=tuple(aligned_instances),
        unresizable=unresizable,
        tolerance=header.tolerance or _tolerance(shipped.outputs),
        flops=shipped.flops,
        bytes=sum(tensor.nbytes for tensor in shipped.tensors),
    )


def _instances(
    programs: Sequence[str], described: Sequence[Description | ProgramError], names: SizeNames
) -> list[Instance]:
    """The versions that run and whose outputs are worth computing."""
    return [
        _instance(program, result, names)
        for program, result in zip(programs, described, strict=True)
        if isinstance(result, Description) and not result.degenerate
    ]


def _instance(program: str, tensors: Survey | Description, names: SizeNames) -> Instance:
    return Instance(
        program=program,
        sizes=names.of(program, tensors.inputs),
        inputs=tensors.inputs,
        parameters=tensors.parameters,
        outputs=tensors.outputs,
    )


def _require_task(described: Sequence[Description | ProgramError]) -> None:
    """Refuse a program that runs at no size, or whose outputs a kernel could give without computing."""
    errors = [result for result in described if isinstance(result, ProgramError)]
    flags = [result.degenerate for result in described if isinstance(result, Description)]
    if not flags:
        raise errors[0]
    if "not finite" in flags:
        raise ProgramError(
            "the program's outputs are not finite for its own inputs; draw them from its domain"
        )
    if None not in flags:
        raise ProgramError(f"the program is degenerate: an output is {flags[0]}")


def _tolerance(outputs: Iterable[Tensor]) -> float:
    return max(_TOLERANCE.get(tensor.dtype, min(_TOLERANCE.values())) for tensor in outputs)


class SizeNames:
    """How a problem's sizes are called, the same at every choice of them.

    A program's module-level integer constants keep their names if the shapes of its inputs use any;
    otherwise the distinct dimensions above 1 of the shipped inputs, in order of appearance, are d0, d1, ...,
    each standing for the place where it appeared first.
    """

    def __init__(self, program: str, inputs: Sequence[Tensor]) -> None:
        self._named = sizes_in_use(parse(program))
        self._places: dict[Name, tuple[int, int]] = {}
        self._taken = {tensor.name for tensor in inputs}
        seen: set[int] = set()
        for index, tensor in enumerate(inputs):
            for axis, extent in enumerate(tensor.shape):
                if extent > 1 and extent not in seen:
                    seen.add(extent)
                    self._places[f"d{len(seen) - 1}"] = (index, axis)

    def of(self, program: str, inputs: Sequence[Tensor]) -> dict[Name, int]:
        """The named sizes of one version of the program; tensors' names take precedence.

        A constant whose name a launch line cannot hold has none; so has one below 0.
        """
        if self._named:
            sizes = module_constants(parse(program))
        else:
            sizes = {name: inputs[index].shape[axis] for name, (index, axis) in self._places.items()}
        return {
            name: value
            for name, value in sizes.items()
            if value >= 0 and name not in self._taken and is_name(name)
        }
