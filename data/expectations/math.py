"""The tables of questions: any, those whose answers are whole numbers, and solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from data.expectations.answers import answer_rows, solutions_table
from data.expectations.prompts import prompt_rows, questions_table
from data.expectations.suite import Check, Table
from evaluation.problem import Split

_MOST_DIGITS = 20
"""Of an answer: what a model writes out and a reward compares."""


def math_table(rows: pd.DataFrame) -> Table:
    """Questions of which each has a whole number as its answer."""
    table = questions_table(rows)
    whole = Check.of("ExpectColumnValuesToMatchRegex", column="problem", regex=rf"^-?\d{{1,{_MOST_DIGITS}}}$")
    short = Check.of("ExpectColumnValueLengthsToBeBetween", column="problem", max_value=10)
    varied = Check.of("ExpectColumnProportionOfUniqueValuesToBeBetween", column="problem", min_value=0.01)
    warning = {**table.warning, "short_answers": short, "varied_answers": varied}
    return Table("math", rows, {**table.critical, "whole_numbers": whole}, warning)


def question_tables(asked: Sequence[Mapping[str, Any]], solved: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The tables of a night's questions and of their solutions, those that have some rows."""
    whole = [row for row in asked if row["metadata"]["whole_number"]]
    others = [row for row in asked if not row["metadata"]["whole_number"]]
    kinds = ((whole, math_table), (others, questions_table))
    tables = [table(prompt_rows(rows, "prompts")) for rows, table in kinds if rows]
    if solved:
        about = (row["metadata"] for row in asked)
        trained = [row["problem_id"] for row in about if row["split"] == Split.TRAIN.value]
        tables.append(solutions_table(answer_rows(solved, "sft.jsonl"), trained))
    return tables
