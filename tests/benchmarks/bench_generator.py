"""How many accepted programs a minute the generator draws: `python -m tests.benchmarks.bench_generator`."""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter

from data.composing import compose_many
from data.operators.registry import OPERATORS
from evaluation.problem import Split


def main() -> None:
    """Draw, and print the rate, the CPU time and what was thrown away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    begin, rejected, levels = time.monotonic(), Counter[str](), Counter[int]()
    drawn = compose_many(
        asked.graphs, OPERATORS, workers=asked.workers, seed="bench", split=Split.TRAIN, tolerance=2e-4
    )
    for item in drawn:
        rejected.update(item.rejected)
        levels[len(item.graph.nodes)] += 1
    seconds = time.monotonic() - begin
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    print(f"{60 * asked.graphs / seconds:.0f} a minute with {asked.workers} workers; ", end="")
    print(f"{1e3 * cpu / asked.graphs:.0f} ms of CPU each; operators {dict(levels)}; again: {dict(rejected)}")


if __name__ == "__main__":
    main()
