"""Every operator in every style, attribute and dtype through the judge: `... bench_operators [NAME ...]`."""

from __future__ import annotations

import argparse
import time
from collections import Counter

from data.generator import single_operator_graphs
from data.kernels.writing import styles, write
from data.operators.registry import chosen
from data.rendering import problem
from data.solutions import Solution, respond, verify
from evaluation.pool import EvaluationPool
from evaluation.problem import Split
from evaluation.reference.pool import ReferencePool
from evaluation.settings import BackendName, EvaluationSettings


def main() -> None:
    """Judge operator by operator; print the kernels that are refused, and counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="operators (default: all)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--backend", choices=[name.value for name in BackendName], default="simt")
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    with (
        ReferencePool(asked.workers) as reference,
        EvaluationPool(EvaluationSettings(workers=asked.workers, backend=asked.backend), reference) as pool,
    ):
        for name, operator in chosen(asked.names).items():
            begin = time.monotonic()
            graphs = [graph for dtype in operator.dtypes for graph in single_operator_graphs(operator, dtype)]
            solutions = [
                Solution(problem(graph, Split.TRAIN, 2e-4, "bench"), style, respond(write(graph, style)))
                for graph in graphs
                for style in styles(graph)
            ]
            correct, failures = verify(solutions, pool, seed=1)
            total.update(operators=1, kernels=len(solutions), correct=len(correct))
            print(f"{name}: {len(correct)} of {len(solutions)}, {time.monotonic() - begin:.0f} s", flush=True)
            for failure in failures:
                verdict = failure.verdict
                print(f"  {failure.solution.style} {verdict.status}: {verdict.reason}")
    print(", ".join(f"{count} {what}" for what, count in total.items()))


if __name__ == "__main__":
    main()
