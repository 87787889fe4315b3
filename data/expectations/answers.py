"""The table of SFT rows: verified kernels of training problems, and of no others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pandas as pd

from data.expectations.files import broken_file_named
from data.expectations.suite import Check, Table

COLUMNS = ("id", "problem", "roles", "verified", "fences", "characters", "words")
_MOST_CHARACTERS = 100_000


def answer_rows(rows: Iterable[Mapping[str, Any]], name: str) -> pd.DataFrame:
    """Columns of conversations whose last turn is a kernel."""
    with broken_file_named(name):
        found = [_columns(row, number) for number, row in enumerate(rows, 1)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _columns(row: Mapping[str, Any], number: int) -> tuple[Any, ...]:
    turns, metadata = row["messages"], row["metadata"]
    roles = " ".join(turn["role"] for turn in turns)
    problem, answer = metadata["problem_id"], turns[-1]["content"]
    verified, fences = metadata.get("verified"), answer.count("```")
    return f"{number}:{problem}", problem, roles, verified, fences, len(answer), answer


def answers_table(rows: pd.DataFrame, trained: Collection[str]) -> Table:
    """Answers to the problems in `trained`, in one fenced block each."""
    critical = {
        "schema": Check.columns(COLUMNS),
        "training_problems_only": Check.among("problem", *trained),
        "question_then_answer": Check.among("roles", "user assistant"),
        "verified": Check.of("ExpectColumnValuesToNotBeNull", column="verified"),
        "one_block": Check.among("fences", 2),
        "something_answered": Check.between("characters", 1, _MOST_CHARACTERS),
    }
    kernels = Check.of("ExpectColumnProportionOfUniqueValuesToBeBetween", column="words", min_value=0.5)
    return Table("sft", rows, critical, {"varied_kernels": kernels})


def solutions_table(rows: pd.DataFrame, trained: Collection[str]) -> Table:
    """Solved questions among `trained`, each of which the verifier takes for right."""
    critical = {
        "schema": Check.columns(COLUMNS),
        "training_questions_only": Check.among("problem", *trained),
        "question_then_answer": Check.of(
            "ExpectColumnValuesToMatchRegex", column="roles", regex=r"^(?:system )?(?:user assistant ?)+$"
        ),
        "verified": Check.of("ExpectColumnValuesToNotBeNull", column="verified"),
        "something_answered": Check.between("characters", 1, _MOST_CHARACTERS),
        "solved_once": Check.unique("problem"),
    }
    return Table("solutions", rows, critical, {})
