"""Which whole networks become problems, and what that costs: `python -m tests.benchmarks.bench_networks`."""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

from evaluation.programs.program import ProgramError, problem_from_program
from evaluation.reference.pool import ReferencePool

DEEP = Path(__file__).parents[1] / "evaluation" / "programs" / "deep"


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Describe every network of the folder in a pool of its own; print a line each and the total."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=DEEP, help="programs (default: tests' own)")
    paths = sorted(parser.parse_args().folder.rglob("*.py"))
    taken = 0
    for path in paths:
        before = _cpu()
        with ReferencePool() as reference:
            try:
                found = problem_from_program(path.read_text(), id=path.stem, source="", reference=reference)
                result = f"{len(found.checks)} check sizes"
                taken += 1
            except ProgramError as error:
                result = f"refused: {error}"
        print(f"{path.stem}: {result} ({_cpu() - before:.1f} s of CPU, torch's import included)", flush=True)
    print(f"{taken} of {len(paths)} taken")


if __name__ == "__main__":
    main()
