"""The gate on the prepared problems: a Great Expectations suite with critical and warning severities.

A critical expectation that fails stops the night and names the rows; a warning is published only.
Great Expectations is imported late: it takes seconds and a quarter of a gigabyte.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from data.table import MEASURED, Row, row
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem
from evaluation.rows import read_lines

#: All columns of the table, in order.
COLUMNS: tuple[str, ...] = (*(field.name for field in fields(Row)), *MEASURED[1:], "splits")
#: What is read of the prepare stage's files.
_FILES = ("problems.jsonl", "outputs.csv", "summary.json")
#: A page beside the library's own, which look for styles and scripts in the network.
PAGE = "gate.html"
#: Rows named in an error message; result.json names all.
_NAMED_ROWS = 5
#: Largest tensor of a shipped program, in elements: 64 GiB of float32.
_MOST_ELEMENTS = 2**34
#: Most elements at check sizes: beyond it, one kernel would take seconds on the CPU.
_MOST_CHECK_ELEMENTS = 2**20


class GateError(WarpsmithError):
    """The prepared problems break a critical expectation."""


class Severity(StrEnum):
    """What a failed expectation does."""

    CRITICAL = "critical"  #: stops the night
    WARNING = "warning"  #: is published


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation."""

    name: str
    severity: Severity
    success: bool
    rows: tuple[str, ...]
    """Ids of the offending rows, where the expectation is about rows."""
    detail: str
    """What was found, where it is about the whole table."""


def validate(prepared: Path, out: Path) -> dict[str, float]:
    """Judge the problems in `prepared`; write result.json and pages (docs/, docs/gate.html first) to `out`.

    Returns the headline metrics. Raises GateError if a critical expectation fails, after writing.
    """
    missing = [name for name in _FILES if not (prepared / name).is_file()]
    if missing:
        raise GateError(f"{prepared} has no {', '.join(missing)}: run the prepare stage first.")
    table, summary = load_table(prepared), _load_summary(prepared)
    out.mkdir(parents=True, exist_ok=True)
    outcomes = judge(table, summary, out / "docs")
    text = json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n"
    (out / "result.json").write_text(text, encoding="utf-8")
    (out / "docs" / PAGE).write_text(_page(outcomes, len(table)), encoding="utf-8")
    failed = [outcome for outcome in outcomes if not outcome.success]
    critical = [outcome for outcome in failed if outcome.severity is Severity.CRITICAL]
    if critical:
        raise GateError(_explain(critical))
    return {
        "gate/expectations": float(len(outcomes)),
        "gate/critical_failed": 0.0,
        "gate/warnings": float(len(failed)),
        "gate/problems": float(len(table)),
    }


def load_table(prepared: Path) -> pd.DataFrame:
    """The table of the problems in problems.jsonl with the measurements in outputs.csv.

    A problem without a measurement gets empty cells. `splits` counts the splits that the row's
    combination appears in. Raises GateError for a file, or a line, that is not what prepare writes.
    """
    with _broken_file_named("problems.jsonl"):
        lines = read_lines(prepared / "problems.jsonl")
    rows = [asdict(row(_problem(line, number))) for number, line in lines]
    table = pd.DataFrame(rows, columns=[field.name for field in fields(Row)])
    with _broken_file_named("outputs.csv"):
        measured = pd.read_csv(prepared / "outputs.csv").drop_duplicates("id")
        table = table.merge(measured, how="left", on="id")
    table["splits"] = table.groupby("combination")["split"].transform("nunique")
    return table


def _problem(line: str, number: int) -> Problem:
    try:
        return Problem.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the line"
        reason = f"problems.jsonl line {number} is no problem ({place}: {first['msg']})"
        raise GateError(f"{reason}: run prepare again.") from None


def _load_summary(prepared: Path) -> dict[str, Any]:
    with _broken_file_named("summary.json"):
        summary = json.loads((prepared / "summary.json").read_text(encoding="utf-8"))
        return {name: summary[name] for name in ("problems", "expected")}


@contextmanager
def _broken_file_named(name: str) -> Iterator[None]:
    """Say in one sentence that a file is not what prepare writes: cut short, or not even text."""
    try:
        yield
    except (ValueError, KeyError, TypeError, WarpsmithError) as error:
        reason = " ".join(str(error).split())[:200]
        raise GateError(f"{name} cannot be read ({reason}): run prepare again.") from None


def judge(table: pd.DataFrame, summary: dict[str, Any], docs: Path) -> list[Outcome]:
    """Run the suite on the table and build the data docs."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    context.add_data_docs_site("local", _docs_site(docs))
    built = [check.build() for check in expectations(summary)]
    suite = context.suites.add(gx.ExpectationSuite(name="problems", expectations=built))
    asset = context.data_sources.add_pandas("prepared").add_dataframe_asset("problems")
    batch = asset.add_batch_definition_whole_dataframe("all")
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="problems", data=batch, suite=suite)
    )
    checkpoint = gx.Checkpoint(
        name="problems",
        validation_definitions=[definition],
        actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["local"])],
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]},
    )
    result = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": table})
    (validation,) = result.run_results.values()
    return [_outcome(item) for item in validation.results]


def expectations(summary: dict[str, Any]) -> list[Check]:
    """The suite; what the night should hold comes from prepare's summary."""
    critical = {
        "schema": Check("ExpectTableColumnsToMatchSet", column_set=list(COLUMNS)),
        "all_problems_present": Check("ExpectTableRowCountToEqual", value=summary["problems"]),
        "all_levels_present": Check(
            "ExpectColumnDistinctValuesToContainSet", column="split_level", value_set=summary["expected"]
        ),
        "unique_ids": Check("ExpectColumnValuesToBeUnique", column="id"),
        "unique_programs": Check("ExpectColumnValuesToBeUnique", column="program"),
        "no_split_leakage": _in_set("splits", 1),
        "named_operators": Check("ExpectColumnValueLengthsToBeBetween", column="combination", min_value=1),
        "measured_outputs": Check("ExpectColumnValuesToNotBeNull", column="output_std"),
        "finite_outputs": _in_set("output_finite", True),
        "varying_outputs": _between("output_std", 0, strict_min=True),
        "no_copied_inputs": _in_set("output_copies_input", False),
        "sizes_in_range": _between("elements", 1, _MOST_ELEMENTS),
        "check_sizes_in_range": _between("check_elements", 1, _MOST_CHECK_ELEMENTS),
        "flops_in_range": _between("flops", 0, 1e18),
        "bytes_in_range": _between("bytes", 1, 1e12),
        "tolerance_in_range": _between("tolerance", 1e-7, 0.1),
    }
    warning = {
        "two_check_sizes": _between("checks", 2),
        "aligned_sizes": _between("aligned", 1),
        "resized": _in_set("resized", True),
        "few_zeros": _between("output_zero_share", 0, 0.75),
        "varied_combinations": Check(
            "ExpectColumnProportionOfUniqueValuesToBeBetween", column="combination", min_value=0.4
        ),
    }
    return [
        check.named(name, severity)
        for severity, group in ((Severity.CRITICAL, critical), (Severity.WARNING, warning))
        for name, check in group.items()
    ]


class Check:
    """An expectation by its name in Great Expectations and its arguments, built when the library is there."""

    def __init__(self, kind: str, **arguments: Any) -> None:
        self.kind, self.arguments = kind, arguments

    def named(self, name: str, severity: Severity) -> Check:
        """The same expectation under a name of ours, with a severity."""
        return Check(self.kind, **self.arguments, meta={"name": name}, severity=severity.value)

    def build(self) -> Any:
        """The library's own object."""
        import great_expectations.expectations

        return getattr(great_expectations.expectations, self.kind)(**self.arguments)


def _between(column: str, low: float, high: float | None = None, **more: Any) -> Check:
    return Check("ExpectColumnValuesToBeBetween", column=column, min_value=low, max_value=high, **more)


def _in_set(column: str, value: object) -> Check:
    return Check("ExpectColumnValuesToBeInSet", column=column, value_set=[value])


def _docs_site(docs: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())},
    }


def _page(outcomes: Sequence[Outcome], problems: int) -> str:
    """All outcomes on one page that needs no network, which the library's own pages do."""
    held = sum(outcome.success for outcome in outcomes)
    rows = [
        (one.name, one.severity, "holds" if one.success else "broken", one.detail or " ".join(one.rows[:20]))
        for one in sorted(outcomes, key=lambda one: one.success)
    ]
    cells = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Data gate</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem}td,th{padding:.2rem .8rem;text-align:left}"
        "</style><h1>Data gate</h1>"
        f"<p>{held} of {len(outcomes)} expectations hold for {problems} problems; a critical one "
        "that is broken stops the night, a warning is shown only.</p><table>"
        "<tr><th>expectation<th>severity<th>outcome<th>what was found</tr>"
        + "".join(f"<tr>{row}</tr>" for row in cells)
        + "</table></html>\n"
    )


def _outcome(item: Any) -> Outcome:
    """One result of Great Expectations, in our terms."""
    config, found = item.expectation_config, item.result or {}
    rows = [str(index["id"]) for index in found.get("unexpected_index_list") or []]
    return Outcome(
        name=config.meta["name"],
        severity=Severity(config.severity.value),
        success=bool(item.success),
        rows=tuple(dict.fromkeys(rows)),
        detail="" if item.success or rows else _detail(found, item.exception_info),
    )


def _detail(found: dict[str, Any], exception: dict[str, Any]) -> str:
    """What is wrong with the table as a whole: what is missing or mismatched, or what was seen."""
    if "partial_missing_list" in found:
        return f"missing {', '.join(map(str, found['partial_missing_list']))}"
    if "details" in found:
        return f"mismatched columns {json.dumps(found['details']['mismatched'])}"
    if "observed_value" in found:
        return f"found {found['observed_value']}"
    messages = {info["exception_message"] for info in exception.values() if isinstance(info, dict)}
    return "; ".join(sorted(messages)) or "it could not be computed"


def _explain(failed: Sequence[Outcome]) -> str:
    """One sentence that names each failed expectation and its rows."""
    broken = "; ".join(f"{outcome.name} ({_where(outcome)})" for outcome in failed)
    return f"the prepared problems break {broken}: repair or remove them in data.sources or in the generator."


def _where(outcome: Outcome) -> str:
    if not outcome.rows:
        return outcome.detail
    rest = len(outcome.rows) - _NAMED_ROWS
    more = f" and {rest} more" if rest > 0 else ""
    return f"rows {', '.join(outcome.rows[:_NAMED_ROWS])}{more}"
