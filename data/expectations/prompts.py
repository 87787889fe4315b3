"""The table of prompts: slime rows that put problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from data.expectations.files import broken_file_named
from data.expectations.suite import Check, Table
from evaluation.problem import Split

COLUMNS = ("id", "problem", "split", "roles", "characters", "words")
#: Longest prompt: the longest program and what is said around it.
_MOST_CHARACTERS = 100_000

_Row = Mapping[str, Any]


def prompt_rows(rows: Iterable[Mapping[str, Any]], name: str) -> pd.DataFrame:
    """Columns of slime rows; `words` is the chat itself, by which repetitions show."""
    with broken_file_named(name):
        found = [_columns(row, number) for number, row in enumerate(rows, 1)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _columns(row: Mapping[str, Any], number: int) -> tuple[Any, ...]:
    turns, metadata = row["prompt"], row["metadata"]
    words = "\n".join(turn["content"] for turn in turns)
    roles = " ".join(turn["role"] for turn in turns)
    return f"{number}:{row['label']}", row["label"], metadata["split"], roles, len(words), words


def prompts_table(rows: pd.DataFrame, problems: Mapping[str, str]) -> Table:
    """Prompts of the problems given by id with their splits."""
    sides = [f"{problem}/{split}" for problem, split in problems.items()]
    rows = rows.assign(side=rows["problem"] + "/" + rows["split"])
    critical = {
        "schema": Check.columns((*COLUMNS, "side")),
        "known_problems": Check.among("problem", *problems),
        "split_of_the_problem": Check.among("side", *sides),
        "one_prompt_a_problem": Check.unique("problem"),
        "user_speaks_last": _ends_with_user(),
        "something_asked": Check.between("characters", 1),
        "every_problem_asked": Check.of(
            "ExpectColumnDistinctValuesToContainSet", column="problem", value_set=sorted(problems)
        ),
    }
    warning = {
        "prompts_differ": Check.unique("words"),
        "length_in_range": Check.between("characters", 1, _MOST_CHARACTERS),
    }
    return Table("prompts", rows, critical, warning)


def by_task(rows: Iterable[_Row]) -> tuple[list[_Row], list[_Row]]:
    """A night's rows about kernels, and those that are questions."""
    kernels: list[_Row] = []
    questions: list[_Row] = []
    for row in rows:
        (questions if row["metadata"].get("task") == "math" else kernels).append(row)
    return kernels, questions


def questions_table(rows: pd.DataFrame) -> Table:
    """Rows with a text as the answer: every question asked once, and on one side of a split."""
    critical = {
        "schema": Check.columns(COLUMNS),
        "known_splits": Check.among("split", *(split.value for split in Split)),
        "questions_differ": Check.unique("words"),
        "user_speaks_last": _ends_with_user(),
        "something_asked": Check.between("characters", 1),
        "something_answered": Check.of("ExpectColumnValueLengthsToBeBetween", column="problem", min_value=1),
    }
    warning = {"length_in_range": Check.between("characters", 10, 20_000)}
    return Table("questions", rows, critical, warning)


def _ends_with_user() -> Check:
    return Check.of(
        "ExpectColumnValuesToMatchRegex", column="roles", regex=r"^(?:system )?(?:user assistant )*user$"
    )
