"""Judging tables with Great Expectations; it is imported late, for it takes seconds and 250 MB."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.errors import WarpsmithError

#: Rows named in an error message; result.json names all.
_NAMED_ROWS = 5


class GateError(WarpsmithError):
    """The prepared data break a critical expectation, or cannot be read."""


class Severity(StrEnum):
    """What a failed expectation does."""

    CRITICAL = "critical"  #: stops the night
    WARNING = "warning"  #: is published


@dataclass(frozen=True)
class Check:
    """An expectation by its name in Great Expectations and its arguments, built when the library is there."""

    kind: str
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, **arguments: Any) -> Check:
        """`ExpectColumnValuesToBeUnique` of a column, say."""
        return cls(kind, arguments)

    @classmethod
    def between(cls, column: str, low: float, high: float | None = None, **more: Any) -> Check:
        """All values of a column lie in a range."""
        return cls.of("ExpectColumnValuesToBeBetween", column=column, min_value=low, max_value=high, **more)

    @classmethod
    def among(cls, column: str, *values: object) -> Check:
        """All values of a column are some of these."""
        return cls.of("ExpectColumnValuesToBeInSet", column=column, value_set=list(values))

    @classmethod
    def unique(cls, column: str) -> Check:
        """No value of a column comes twice."""
        return cls.of("ExpectColumnValuesToBeUnique", column=column)

    @classmethod
    def columns(cls, names: Sequence[str]) -> Check:
        """The table has these columns and no others."""
        return cls.of("ExpectTableColumnsToMatchSet", column_set=list(names))

    def named(self, name: str, severity: Severity) -> Check:
        """The same expectation under a name of ours, with a severity."""
        return replace(self, arguments={**self.arguments, "meta": {"name": name}, "severity": severity.value})

    def build(self) -> Any:
        """The library's own object."""
        import great_expectations.expectations

        return getattr(great_expectations.expectations, self.kind)(**self.arguments)


@dataclass(frozen=True)
class Table:
    """A table and what is expected of it; rows are named by the column `id`."""

    name: str
    rows: pd.DataFrame
    critical: Mapping[str, Check]
    """By names of ours."""
    warning: Mapping[str, Check]

    @property
    def checks(self) -> list[Check]:
        """All of them, with names and severities."""
        groups = ((Severity.CRITICAL, self.critical), (Severity.WARNING, self.warning))
        return [check.named(name, severity) for severity, group in groups for name, check in group.items()]


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
    table: str


def judge(tables: Sequence[Table], docs: Path) -> list[Outcome]:
    """Run every table's suite, and build the data docs of them all."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    context.add_data_docs_site("local", _docs_site(docs))
    source = context.data_sources.add_pandas("prepared")
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
    outcomes = []
    for table in tables:
        built = [check.build() for check in table.checks]
        suite = context.suites.add(gx.ExpectationSuite(name=table.name, expectations=built))
        batch = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("all")
        definition = gx.ValidationDefinition(name=table.name, data=batch, suite=suite)
        result = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": table.rows}, result_format=result_format
        )
        outcomes += [_outcome(item, table.name) for item in result.results]
    context.build_data_docs(site_names=["local"])
    return outcomes


def broken(outcomes: Sequence[Outcome]) -> str | None:
    """What breaks a critical expectation, with the rows; none if nothing does."""
    failed = [
        outcome for outcome in outcomes if not outcome.success and outcome.severity is Severity.CRITICAL
    ]
    return "; ".join(f"{outcome.name} ({_where(outcome)})" for outcome in failed) or None


def _docs_site(docs: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())},
    }


def _outcome(item: Any, table: str) -> Outcome:
    """One result of Great Expectations, in our terms."""
    config, found = item.expectation_config, item.result or {}
    rows = [str(index["id"]) for index in found.get("unexpected_index_list") or []]
    return Outcome(
        name=config.meta["name"],
        severity=Severity(config.severity.value),
        success=bool(item.success),
        rows=tuple(dict.fromkeys(rows)),
        detail="" if item.success or rows else _detail(found, item.exception_info),
        table=table,
    )


def _detail(found: dict[str, Any], exception: dict[str, Any]) -> str:
    """What is wrong with the table as a whole: what is missing or mismatched, or what was seen."""
    if "partial_missing_list" in found:
        return f"missing {', '.join(map(str, found['partial_missing_list']))}"
    if "details" in found and "mismatched" in found["details"]:
        return f"mismatched columns {json.dumps(found['details']['mismatched'])}"
    if "observed_value" in found:
        return f"found {found['observed_value']}"
    messages = {info["exception_message"] for info in exception.values() if isinstance(info, dict)}
    return "; ".join(sorted(messages)) or "it could not be computed"


def _where(outcome: Outcome) -> str:
    if not outcome.rows:
        return outcome.detail
    rest = len(outcome.rows) - _NAMED_ROWS
    more = f" and {rest} more" if rest > 0 else ""
    return f"rows {', '.join(outcome.rows[:_NAMED_ROWS])}{more}"
