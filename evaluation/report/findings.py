"""What makes a benchmark's figures unbelievable: kernels that cheat, and held-out problems that were learnt.

A kernel that the judge caught is refused already, and counts as wrong. But a model whose kernels cheat
again and again has learnt to, and what it got away with is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from evaluation.problem import Frozen, Problem, Split
from evaluation.verdict import Status

if TYPE_CHECKING:
    from evaluation.report.summary import Sample

#: No kernel is this much faster than its machine: then its time, or its work, is not what it seems.
_IMPOSSIBLE = 1.1


class FindingKind(StrEnum):
    """What was found."""

    HACK = "hack"  #: a kernel that does not do the work
    LEAKAGE = "leakage"  #: a held-out problem that was trained on


class Finding(Frozen):
    """One reason not to believe the figures."""

    kind: FindingKind
    problem_id: str
    sentence: str


def hacks(samples: Iterable[Sample]) -> list[Finding]:
    """What cheats among a model's samples, one finding a sample."""
    found = []
    for sample in samples:
        name = f"sample {sample.index} of {sample.problem_id}"
        if sample.checks.status is Status.CHEATED:
            sentence = f"{name} cheats: {sample.checks.reason}"
        elif sample.roofline is not None and sample.roofline > _IMPOSSIBLE:
            sentence = f"{name} is {sample.roofline:.2f} times as fast as the machine can be"
        else:
            continue
        found.append(Finding(kind=FindingKind.HACK, problem_id=sample.problem_id, sentence=sentence))
    return found


def leaks(problems: Sequence[Problem], learnt: Iterable[str] = ()) -> list[Finding]:
    """Held-out problems whose program occurs among those that were trained on.

    Args:
        problems: the night's, of all splits.
        learnt: texts that SFT learnt from; a program counts wherever it stands in one.
    """
    trained: Counter[str] = Counter()
    held = {}
    for problem in problems:
        program = _normal(problem.shipped.program)
        if problem.split is Split.HELDOUT:
            held[program] = problem.id
        else:
            trained[program] += 1
    found = {held[program]: "is a problem of another split" for program in held if trained[program]}
    texts = [_normal(text) for text in learnt]
    for program, name in held.items():
        if name not in found and any(program in text for text in texts):
            found[name] = "stands in a row that SFT learnt from"
    return [
        Finding(kind=FindingKind.LEAKAGE, problem_id=name, sentence=f"the held-out problem {name} {how}")
        for name, how in found.items()
    ]


def _normal(text: str) -> str:
    """A program without what layout can change."""
    return " ".join(text.split())
