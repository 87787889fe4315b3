"""The findings in words: shares by family, right kernels refused, and every survivor with its fault."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.verdict import Status, Verdict
from tests.benchmarks.judge.kernels.text import Kernel
from tests.benchmarks.judge.published import TOLERANCES
from tests.benchmarks.judge.rules.all import Mutant
from tests.benchmarks.judge.rules.rule import Family


@dataclass(frozen=True)
class Judged:
    """A mutant that is wrong, why it is known to be, and what was said of it."""

    mutant: Mutant
    witness: str
    verdict: Verdict
    published: tuple[bool, ...] | None
    """Whether the published procedure takes it for right, by tolerance; None where that was not tried."""

    @property
    def found(self) -> bool:
        """Whether the judge refused it; a failure of the judge's own does not count."""
        return not self.verdict.correct and not not_judged(self.verdict)


def not_judged(verdict: Verdict) -> bool:
    """Whether the verdict says that the evaluator failed."""
    return verdict.status is Status.UNSUPPORTED and verdict.reason.startswith("not judged")


def report(
    right: Sequence[tuple[Kernel, Verdict]], judged: Sequence[Judged], unproven: int, backend: str
) -> str:
    """The whole report as Markdown."""
    return "\n".join(
        [*_right(right, backend), "", *_families(judged, unproven, backend), "", *_survivors(judged)]
    )


def _right(right: Sequence[tuple[Kernel, Verdict]], backend: str) -> list[str]:
    refused = [(kernel, verdict) for kernel, verdict in right if not verdict.correct]
    programs, styles = {kernel.program for kernel, _ in right}, {kernel.style for kernel, _ in right}
    lines = [
        f"Right kernels ({backend}): {len(refused)} of {len(right)} refused "
        f"({_share(len(refused), len(right))}), over {len(programs)} programs and {len(styles)} styles."
    ]
    for kernel, verdict in refused:
        lines += [
            f"- {kernel.program}, {kernel.style}: {verdict.status}: {verdict.reason}",
            _fenced(kernel.text),
        ]
    return lines


def _families(judged: Sequence[Judged], unproven: int, backend: str) -> list[str]:
    published = "".join(f" KernelBench at {value:g} |" for value in TOLERANCES)
    lines = [
        f"{len(judged)} wrong mutants by {len({each.mutant.rule for each in judged})} rules "
        f"({unproven} more had no witness and do not count).",
        "",
        f"| family | mutants | found by {backend} |{published}",
        "|---|---|---|" + "---|" * len(TOLERANCES),
    ]
    for family in (*Family, None):
        chosen = [each for each in judged if family is None or each.mutant.rule.family is family]
        found = sum(each.found for each in chosen)
        lines.append(
            f"| {family or 'all'} | {len(chosen)} | {_share(found, len(chosen))} |{_published(chosen)}"
        )
    statuses = Counter(str(each.verdict.status) for each in judged)
    lines += ["", "Verdicts: " + ", ".join(f"{name} {count}" for name, count in statuses.most_common()) + "."]
    return lines


def _published(chosen: Sequence[Judged]) -> str:
    tried = [each.published for each in chosen if each.published is not None]
    shares = (_share(sum(not each[index] for each in tried), len(tried)) for index in range(len(TOLERANCES)))
    return "".join(f" {share} |" for share in shares)


def _survivors(judged: Sequence[Judged]) -> list[str]:
    lines = ["Survivors:"]
    for each in judged:
        if not each.found:
            mutant = each.mutant
            lines.append(
                f"- {mutant.rule.family}, {mutant.rule.name}: {mutant.original.program}, "
                f"{mutant.original.style}; {each.verdict.status}: {each.verdict.reason}; "
                f"witness: {each.witness}"
            )
            lines.append(_fenced(difference(mutant), "diff"))
    return lines


def difference(mutant: Mutant) -> str:
    """The lines that the rule changed."""
    lines = difflib.unified_diff(
        mutant.original.text.splitlines(), mutant.text.splitlines(), lineterm="", n=0
    )
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _fenced(text: str, language: str = "cuda") -> str:
    return f"```{language}\n{text.rstrip()}\n```"
