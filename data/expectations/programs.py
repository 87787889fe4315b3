"""The table of problems: what is measured of their programs, and no operators on two sides of a split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from data.expectations.files import broken_file_named
from data.expectations.suite import Check, GateError, Table
from data.table import LIMITS, MEASURED, Row, row
from evaluation.problem import Problem
from evaluation.rows import read_lines

#: All columns of the table, in order.
COLUMNS: tuple[str, ...] = (*(field.name for field in fields(Row)), *MEASURED[1:], "splits")


def load_table(prepared: Path) -> pd.DataFrame:
    """The table of the problems in problems.jsonl with the measurements in outputs.csv.

    A problem without a measurement gets empty cells. `splits` counts the splits that the row's
    combination appears in. Raises GateError for a file, or a line, that is not what prepare writes.
    """
    with broken_file_named("problems.jsonl"):
        lines = read_lines(prepared / "problems.jsonl")
    rows = [asdict(row(_problem(line, number))) for number, line in lines]
    table = pd.DataFrame(rows, columns=[field.name for field in fields(Row)])
    with broken_file_named("outputs.csv"):
        measured = pd.read_csv(prepared / "outputs.csv").drop_duplicates("id")
        table = table.merge(measured, how="left", on="id")
    table["splits"] = table.groupby("combination")["split"].transform("nunique")
    return table


def load_summary(prepared: Path) -> dict[str, Any]:
    """What the night should hold, from prepare's summary."""
    with broken_file_named("summary.json"):
        summary = json.loads((prepared / "summary.json").read_text(encoding="utf-8"))
        return {name: summary[name] for name in ("problems", "expected")}


def night_table(rows: pd.DataFrame, summary: Mapping[str, Any]) -> Table:
    """A night's problems: all that were asked for, and splits that share no combination."""
    whole = {
        "all_problems_present": Check.of("ExpectTableRowCountToEqual", value=summary["problems"]),
        "all_levels_present": Check.of(
            "ExpectColumnDistinctValuesToContainSet", column="split_level", value_set=summary["expected"]
        ),
        "no_split_leakage": Check.among("splits", 1),
    }
    varied = Check.of("ExpectColumnProportionOfUniqueValuesToBeBetween", column="combination", min_value=0.4)
    table = programs_table(rows)
    return Table(
        "problems", rows, {**table.critical, **whole}, {**table.warning, "varied_combinations": varied}
    )


def programs_table(rows: pd.DataFrame) -> Table:
    """Problems, each of which is worth solving and can be judged."""
    critical = {
        "schema": Check.columns(COLUMNS),
        "unique_ids": Check.unique("id"),
        "unique_programs": Check.unique("program"),
        "named_operators": Check.of("ExpectColumnValueLengthsToBeBetween", column="combination", min_value=1),
        "measured_outputs": Check.of("ExpectColumnValuesToNotBeNull", column="output_std"),
        "finite_outputs": Check.among("output_finite", True),
        "varying_outputs": Check.between("output_std", 0, strict_min=True),
        "no_copied_inputs": Check.among("output_copies_input", False),
        **{f"{name}_in_range": Check.between(name, *limits) for name, limits in LIMITS.items()},
    }
    warning = {
        "two_check_sizes": Check.between("checks", 2),
        "aligned_sizes": Check.between("aligned", 1),
        "resized": Check.among("resized", True),
        "few_zeros": Check.between("output_zero_share", 0, 0.75),
    }
    return Table("problems", rows, critical, warning)


def _problem(line: str, number: int) -> Problem:
    try:
        return Problem.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the line"
        reason = f"problems.jsonl line {number} is no problem ({place}: {first['msg']})"
        raise GateError(f"{reason}: run prepare again.") from None
