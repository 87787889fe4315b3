"""Every rule, and the mutants that are tried."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.judge.kernels.text import Kernel
from tests.benchmarks.judge.rules.places import BOUNDARY, BOUNDS, INDEX
from tests.benchmarks.judge.rules.rule import Rule
from tests.benchmarks.judge.rules.together import ATOMICS, LAUNCH, MEMORY, REDUCTION, SYNCHRONISATION
from tests.benchmarks.judge.rules.values import ARITHMETIC, CONSTANTS, EPILOGUE, PRECISION

RULES: tuple[Rule, ...] = (
    *BOUNDS, *INDEX, *ARITHMETIC, *CONSTANTS, *SYNCHRONISATION, *ATOMICS, *REDUCTION, *MEMORY, *LAUNCH, *PRECISION,
    *BOUNDARY, *EPILOGUE,
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A right kernel with a fault in it (which may be none: a witness has to show that)."""

    original: Kernel
    rule: Rule
    text: str

    @property
    def key(self) -> str:
        """Hash of program and text."""
        return hashlib.sha256(f"{self.original.program}\0{self.text}".encode()).hexdigest()[:16]

    @property
    def response(self) -> str:
        """As a model would hand it in."""
        return f"```cuda\n{self.text}```"


def mutants(kernels: Sequence[Kernel], per_rule: int) -> list[Mutant]:
    """Up to `per_rule` mutants of every rule, spread over programs and styles; the same ones every time."""
    kernels = _two_of_a_style(kernels)
    found: list[Mutant] = []
    texts: set[str] = set()
    for rule in RULES:
        by_kernel: dict[tuple[str, str], list[Mutant]] = defaultdict(list)
        for kernel in kernels:
            by_kernel[kernel.program, kernel.style] += [
                Mutant(kernel, rule, text) for text in rule.mutants(kernel.text)
            ]
        groups = [sorted(group, key=lambda mutant: mutant.key) for group in by_kernel.values() if group]
        groups.sort(key=lambda group: group[0].key)
        chosen = 0
        for turn in range(max(map(len, groups), default=0)):
            for group in groups:
                if chosen < per_rule and turn < len(group) and group[turn].key not in texts:
                    texts.add(group[turn].key)
                    found.append(group[turn])
                    chosen += 1
    return found


def _two_of_a_style(kernels: Sequence[Kernel]) -> list[Kernel]:
    """The first and the last kernel of every program and style: enough variety, and few originals to look at."""
    groups: dict[tuple[str, str], list[Kernel]] = defaultdict(list)
    for kernel in kernels:
        groups[kernel.program, kernel.style].append(kernel)
    return [
        kernel
        for group in groups.values()
        for kernel in {group[0].text: group[0], group[-1].text: group[-1]}.values()
    ]
