"""The `validate` stage: a critical expectation that fails stops the night and names the rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from data.expectations.answers import answer_rows, answers_table
from data.expectations.drift import PROFILE, drift_tables, profile_of, read_profile
from data.expectations.files import broken_file_named, read_objects
from data.expectations.math import question_tables
from data.expectations.page import PAGE, page
from data.expectations.programs import load_summary, load_table, night_table
from data.expectations.prompts import by_task, prompt_rows, prompts_table
from data.expectations.suite import GateError, Outcome, broken, judge
from evaluation.problem import Split

#: What is read of the prepare stage's files.
_FILES = (
    *("problems.jsonl", "outputs.csv", "summary.json", "sft.jsonl"),
    *(f"prompts/{split.value}.jsonl" for split in Split),
)


def validate(prepared: Path, out: Path, champion: Path | None = None) -> dict[str, float]:
    """Judge what is in `prepared`; write result.json, data.json and pages (docs/gate.html first) to `out`.

    `champion` is the data.json of the champion's night, to compare with. Returns the headline metrics.
    Raises GateError if a critical expectation fails, after writing.
    """
    missing = [name for name in _FILES if not (prepared / name).is_file()]
    if missing:
        raise GateError(f"{prepared} has no {', '.join(missing)}: run the prepare stage first.")
    problems, summary = load_table(prepared), load_summary(prepared)
    every = [row for split in Split for row in read_objects(prepared / "prompts" / f"{split.value}.jsonl")]
    with broken_file_named("prompts"):
        posed, asked = by_task(every)
    with broken_file_named("sft.jsonl"):
        kernels, solutions = by_task(read_objects(prepared / "sft.jsonl"))
    prompts = prompt_rows(posed, "prompts")
    tables = []
    if summary["problems"] or summary["expected"]:
        answers = answer_rows(kernels, "sft.jsonl")
        splits = dict(zip(problems["id"], problems["split"], strict=True))
        trained = [problem for problem, split in splits.items() if split == Split.TRAIN.value]
        tables += [night_table(problems, summary), prompts_table(prompts, splits)]
        tables.append(answers_table(answers, trained))
        before = None if champion is None else read_profile(champion)
        tables += [] if before is None else drift_tables(problems, prompts, before)
    tables += question_tables(asked, solutions)
    out.mkdir(parents=True, exist_ok=True)
    outcomes = judge(tables, out / "docs")
    (out / "docs" / PAGE).write_text(page(outcomes, len(every)), encoding="utf-8")
    write_json(out / PROFILE, profile_of(problems, prompts))
    write_outcomes(outcomes, out / "result.json")
    failed = broken(outcomes)
    if failed is not None:
        remedy = "repair or remove them in data.sources or in the generator"
        raise GateError(f"the prepared problems break {failed}: {remedy}.")
    return {
        "gate/expectations": float(len(outcomes)),
        "gate/critical_failed": 0.0,
        "gate/warnings": float(sum(not outcome.success for outcome in outcomes)),
        "gate/problems": float(len(problems)),
        "gate/questions": float(len(asked)),
    }


def write_outcomes(outcomes: Sequence[Outcome], path: Path) -> None:
    """Keep what became of every expectation."""
    write_json(path, [asdict(outcome) for outcome in outcomes])


def write_json(path: Path, value: object) -> None:
    """Write a value for a person to read."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
