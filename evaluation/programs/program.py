"""From a program's text to a `Problem`: its tensors, named sizes, small variants, work and traffic.

Nothing of a program is taken on trust. Its text is parsed (`evaluation.reference.syntax`), rewritten at other
sizes (`evaluation.programs.resize`, `evaluation.programs.variants`), and run only in the confined workers
of a `ReferencePool`; at its shipped sizes, which may be huge, only shapes are worked out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from evaluation.problem import Instance, Name, Problem, Split, Tensor, is_name
from evaluation.programs.variants import RELAXATION, SURVEY_LIMIT, Deadline, Variants, find_variants, fits
from evaluation.reference.pool import Description, ReferencePool, Survey
from evaluation.reference.syntax import (
    ProgramError,
    detect_dialect,
    module_constants,
    operators_of,
    parse,
    sizes_in_use,
    tree_dialect,
)
from evaluation.tolerance import TOLERANCE

__all__ = ["ProgramError", "detect_dialect", "problem_from_program"]

DESCRIBE_SECONDS = 20.0
"""Wall-clock time on a quiet machine for all that is done to learn what a program is at other sizes; a busy
machine gets as much longer as it has more to do than cores, up to twice."""


@dataclass(frozen=True)
class Header:
    """What a problem says about itself that its program does not."""

    id: str
    source: str
    level: int
    split: Split
    operators: tuple[str, ...] = ()
    """Operator names; empty takes those of the program's text."""


def problem_from_program(
    text: str,
    *,
    id: str,
    source: str,
    level: int = 1,
    split: Split = Split.HELDOUT,
    operators: Sequence[str] = (),
    seed: int | str = 0,
    reference: ReferencePool,
) -> Problem:
    """Make a problem of a program as published, at small sizes that are drawn from `seed` and the text.

    Raises `ProgramError` with the reason when the program does not parse or run, is not
    deterministic, gives degenerate outputs, takes too long to describe, or is too large for a CPU and cannot
    be resized.
    """
    header = Header(id, source, level, split, tuple(operators))
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    seconds = DESCRIBE_SECONDS * min(max(busy, 1.0), 2.0)
    shipped = _survey(text, reference, seconds)
    deadline = Deadline(seconds)
    found = find_variants(text, shipped, reference, str(seed), deadline)
    unresizable = None
    if not found.checks:
        unresizable = "no rewriting of its size constants runs and stays small enough"
        if not fits(shipped, RELAXATION):
            raise ProgramError(f"the program is too large for the CPU and cannot be resized: {unresizable}")
        found = Variants([text])
    try:
        return _problem(header, text, shipped, found, reference, unresizable, deadline)
    except ValidationError as error:
        raise ProgramError(f"the program's tensors cannot be used ({error.errors()[0]['msg']})") from None


def _survey(text: str, reference: ReferencePool, seconds: float) -> Survey:
    (shipped,) = reference.survey([text], SURVEY_LIMIT, seconds=seconds)
    if isinstance(shipped, ProgramError):
        raise shipped
    if not shipped.inputs and not shipped.parameters:
        raise ProgramError("the program has no tensor inputs; `get_inputs` must return at least one tensor")
    return shipped


def _problem(
    header: Header,
    text: str,
    shipped: Survey,
    found: Variants,
    reference: ReferencePool,
    unresizable: str | None,
    deadline: Deadline,
) -> Problem:
    """Describe every instance for real, refuse what is no task, and put the record together."""
    names = SizeNames(text, shipped.inputs)
    described = reference.describe_many([*found.checks, *found.aligned], seconds=deadline.left)
    _require_task(described)
    checks = instances_of(found.checks, described[: len(found.checks)], names)
    if not checks:
        raise ProgramError("the program gives usable outputs at aligned sizes only; it must at any sizes")
    larger: list[Description | ProgramError] = []
    with suppress(ProgramError):  # a slow program is judged at small sizes
        larger = reference.describe_many(found.ladder, seconds=deadline.left)
    tree = parse(text)
    return Problem(
        id=header.id,
        source=header.source,
        level=header.level,
        split=header.split,
        dialect=tree_dialect(tree),
        operators=header.operators or operators_of(tree),
        shipped=_instance(text, shipped, names),
        checks=tuple(checks),
        ladder=tuple(instances_of(found.ladder[: len(larger)], larger, names)),
        aligned=tuple(instances_of(found.aligned, described[len(found.checks) :], names)),
        unresizable=unresizable,
        tolerance=_tolerance(shipped.outputs),
        flops=shipped.flops,
        bytes=sum(tensor.nbytes for tensor in shipped.tensors),
    )


def instances_of(
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
    return max(TOLERANCE.get(tensor.dtype, min(TOLERANCE.values())) for tensor in outputs)


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
