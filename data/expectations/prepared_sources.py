"""The gate on what `python -m data.prepare` wrote: problems, their prompts, questions, and whole numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from data.expectations.answers import answer_rows, answers_table
from data.expectations.drift import PROFILE, drift_tables, profile_of, read_profile
from data.expectations.files import read_objects
from data.expectations.gate import write_json, write_outcomes
from data.expectations.math import math_table
from data.expectations.programs import load_table, programs_table
from data.expectations.prompts import prompt_rows, prompts_table, questions_table
from data.expectations.suite import Outcome, Table, judge
from evaluation.problem import Split

RESULT, DOCS = "expectations.json", "docs"


def judge_prepared(out: Path, whole_numbers: Collection[str], baseline: Path | None = None) -> list[Outcome]:
    """Judge the files in `out`, and write expectations.json, data.json and docs/ there.

    `whole_numbers` names the sources whose answers are whole numbers; `baseline` is a folder that was
    prepared earlier, to compare with. Raises GateError for files that prepare does not write.
    """
    rows = read_objects(out / "rows.jsonl")
    problems = load_table(out)
    splits = dict(zip(problems["id"], problems["split"], strict=True))
    once = {row["label"]: row for row in rows if row["label"] in splits}
    asked = prompt_rows(once.values(), "rows.jsonl")
    tables = [programs_table(problems), prompts_table(asked, splits)] if len(problems) else []
    if answered := read_objects(out / "sft.jsonl"):
        trained = [problem for problem, split in splits.items() if split == Split.TRAIN.value]
        tables.append(answers_table(answer_rows(answered, "sft.jsonl"), trained))
    before = None if baseline is None else read_profile(baseline / PROFILE)
    tables += drift_tables(problems, asked, before) if before and len(problems) else []
    tables += _questions([row for row in rows if row["label"] not in splits], whole_numbers)
    outcomes = judge(tables, out / DOCS)
    write_json(out / PROFILE, profile_of(problems, asked))
    write_outcomes(outcomes, out / RESULT)
    return outcomes


def _questions(rows: list[Mapping[str, Any]], whole_numbers: Collection[str]) -> list[Table]:
    """The tables of questions, those that have some."""
    numbers = [row for row in rows if row["metadata"]["source"] in whole_numbers]
    others = [row for row in rows if row["metadata"]["source"] not in whole_numbers]
    kinds = ((numbers, math_table), (others, questions_table))
    return [table(prompt_rows(found, "rows.jsonl")) for found, table in kinds if found]
