"""What the `prepare` stage hands on: its files, its summary and its headline metrics.

problems.jsonl      one `evaluation.problem.Problem` per line, all splits
outputs.csv         what the reference programs computed, for the gate (see `data.table`)
prompts/SPLIT.jsonl slime rows: prompt, label, metadata
sft.jsonl           verified kernels as conversations
quarantine.jsonl    what was left out, and why
summary.json        counts of all of it
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.prompts import chat, render
from data.questions import Asked, solved_rows
from data.settings import Counts, DataSettings
from data.solutions import Solution
from data.table import Measured, to_csv
from evaluation.check import SizeSet
from evaluation.problem import Problem, Split


@dataclass(frozen=True)
class Refusal:
    """Something that was left out, and why: a source row, a problem or a kernel."""

    kind: str
    """`row` (of a source), `problem`, `question` or `kernel`."""
    name: str
    reason: str
    text: str
    """The row, program or kernel itself."""


@dataclass(frozen=True)
class Prepared:
    """Everything that the stage writes."""

    problems: tuple[Problem, ...]
    measured: tuple[Measured, ...]
    """One per problem, in the same order."""
    solutions: tuple[Solution, ...]
    refusals: tuple[Refusal, ...]
    duplicates: dict[str, int]
    """Programs dropped because another says the same, by source."""
    degenerate: dict[str, int]
    """Drawn graphs thrown away, by defect."""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """How many rows of each extra source became what."""
    asked: tuple[Asked, ...] = ()
    """Questions of the extra sources."""


def summarise(prepared: Prepared, settings: DataSettings, night: str) -> dict[str, Any]:
    """The contents of summary.json: what was made, and what was left out."""
    problems, solutions, asked = prepared.problems, prepared.solutions, prepared.asked
    levels = {
        split.value: _count(str(problem.level) for problem in problems if problem.split is split)
        for split in Split
    }
    return {
        "night": night,
        "seed": settings.seed,
        "problems": len(problems),
        "questions": _count(one.source for one in asked),
        "splits": {
            split: sum(counts.values()) + sum(one.split == split for one in asked)
            for split, counts in levels.items()
        },
        "levels": levels,
        "expected": expected_split_levels(settings),
        "operators": _count(name for problem in problems for name in problem.operators),
        "sources": _count(problem.source for problem in problems),
        "unresizable": sum(problem.unresizable is not None for problem in problems),
        "duplicates": prepared.duplicates,
        "rows": prepared.rows,
        "degenerate": prepared.degenerate,
        "quarantined": _count(refusal.kind for refusal in prepared.refusals),
        "sft": {
            "rows": len(solutions) + len(solved_rows(asked, settings.sft_rows)),
            "styles": _count(solution.style.value for solution in solutions),
            "verified": _count(solution.sizes.value for solution in solutions),
            "failed": sum(refusal.kind == "kernel" for refusal in prepared.refusals),
        },
    }


def expected_split_levels(settings: DataSettings) -> list[str]:
    """`split/level` of every kind of problem that the settings ask for."""
    if not settings.task.has_kernels:
        return []
    expected = [f"{Split.TRAIN}/1"]
    for split in Split:
        counts: Counts = getattr(settings, split)
        expected += [f"{split}/{level}" for level, count in ((2, counts.level2), (3, counts.level3)) if count]
    return expected


def headline(summary: dict[str, Any]) -> dict[str, float]:
    """The stage's metrics."""
    rows = summary["sft"]["rows"]
    metrics = {f"data/{split}": float(count) for split, count in summary["splits"].items()}
    return metrics | {
        "data/problems": float(summary["problems"]),
        "data/questions": float(sum(summary["questions"].values())),
        "data/duplicates": float(sum(summary["duplicates"].values())),
        "data/quarantined": float(sum(summary["quarantined"].values())),
        "data/sft_rows": float(rows),
        "data/kernels_failed": float(summary["sft"]["failed"]),
        "data/unguarded_share": summary["sft"]["verified"].get(SizeSet.ALIGNED, 0) / rows if rows else 0.0,
    }


def write(prepared: Prepared, summary: dict[str, Any], settings: DataSettings, out: Path) -> None:
    """Write all files beside `out`, then move each into place."""
    partial = out.parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "prompts").mkdir(parents=True)
    try:
        for name, text in _files(prepared, summary, settings).items():
            (partial / name).write_text(text, encoding="utf-8")
        (out / "prompts").mkdir(parents=True, exist_ok=True)
        for path in sorted(path for path in partial.rglob("*") if path.is_file()):
            os.replace(path, out / path.relative_to(partial))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _files(prepared: Prepared, summary: dict[str, Any], settings: DataSettings) -> dict[str, str]:
    """Every file's text by its name."""
    prompts = {problem.id: render(problem, settings.prompt_style) for problem in prepared.problems}
    files = {
        "problems.jsonl": "".join(problem.model_dump_json() + "\n" for problem in prepared.problems),
        "outputs.csv": to_csv(prepared.problems, prepared.measured),
        "sft.jsonl": _lines(
            [
                *(sft_row(item, prompts[item.problem.id]) for item in prepared.solutions),
                *solved_rows(prepared.asked, settings.sft_rows),
            ]
        ),
        "quarantine.jsonl": _lines(vars(refusal) for refusal in prepared.refusals),
        "summary.json": json.dumps(summary, indent=2) + "\n",
    }
    for split in Split:
        chosen = [problem for problem in prepared.problems if problem.split is split]
        rows = [slime_row(item, prompts[item.id]) for item in chosen]
        rows += [one.prompt_row() for one in prepared.asked if one.split is split]
        files[f"prompts/{split}.jsonl"] = _lines(rows)
    return files


def slime_row(problem: Problem, prompt: str) -> dict[str, Any]:
    """A problem in slime's format: chat messages, label, metadata."""
    return {
        "prompt": chat(prompt),
        "label": problem.id,
        "metadata": {
            "problem_id": problem.id,
            "level": problem.level,
            "operators": list(problem.operators),
            "split": problem.split.value,
        },
    }


def sft_row(solution: Solution, prompt: str) -> dict[str, Any]:
    """A verified kernel as a conversation."""
    return {
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": solution.response},
        ],
        "metadata": {
            "problem_id": solution.problem.id,
            "style": solution.style.value,
            "verified": solution.sizes.value,
        },
    }


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
