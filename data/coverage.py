"""Which operators there are, in what styles and dtypes, and how often a draw has them at each level.

python -m data.coverage [--graphs 1000] > docs/operators.md
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable

from data.composing import LEVELS, Composed, compose_many
from data.generator import single_operator_graphs
from data.kernels.writing import styles
from data.operators.operator import Operator
from data.operators.registry import OPERATORS
from data.settings import KernelStyle
from evaluation.problem import Split

_SHORT = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int64": "i64", "bool": "bool"}


def coverage(drawn: Iterable[Composed]) -> str:
    """The table as a page in Markdown."""
    seen: Counter[tuple[str, int]] = Counter()
    graphs = 0
    for item in drawn:
        graphs += 1
        seen.update({(name, len(item.graph.nodes)) for name in item.graph.operators})
    levels = " | ".join(f"level {level}" for level in range(len(LEVELS)))
    lines = [
        "# Operators",
        "",
        f"{len(OPERATORS)} operators in the styles and dtypes named. The last columns say in how many of "
        f"{graphs} drawn graphs an operator occurs, by level: graphs of {', '.join(map(str, LEVELS))} "
        "operators. Made by `python -m data.coverage`.",
        "",
        f"| operator | dtypes | styles | {levels} |",
        "|---" * (3 + len(LEVELS)) + "|",
    ]
    for name, operator in sorted(OPERATORS.items()):
        counts = " | ".join(str(seen[name, count]) for count in LEVELS)
        written = ", ".join(style.value for style in styles_of(operator))
        lines.append(f"| {name} | {_dtypes(operator)} | {written} | {counts} |")
    return "\n".join(lines) + "\n"


def styles_of(operator: Operator) -> tuple[KernelStyle, ...]:
    """The styles that an operator alone can be written in, at some of its layouts."""
    found = {style for graph in single_operator_graphs(operator) for style in styles(graph)}
    return tuple(style for style in KernelStyle if style in found)


def _dtypes(operator: Operator) -> str:
    """What it computes in, and the other dtypes that it takes or gives."""
    patterns = (*operator.shapes.operands, *operator.shapes.results)
    names = dict.fromkeys([*operator.dtypes, *(one.dtype for one in patterns if one.dtype)])
    return ", ".join(_SHORT.get(name, name) for name in names)


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(prog="python -m data.coverage", description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=1000, help="graphs to draw (default 1000)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    asked = parser.parse_args()
    drawn = compose_many(
        asked.graphs, OPERATORS, workers=asked.workers, seed="coverage", split=Split.TRAIN, tolerance=2e-4
    )
    print(coverage(drawn), end="")


if __name__ == "__main__":
    main()
