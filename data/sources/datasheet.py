"""The datasheet of prepared sources: what a person should know before training on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def datasheet(manifest: Mapping[str, Any]) -> str:
    """The manifest as a page of Markdown."""
    rows = f"{manifest['rows_in']} rows in: {manifest['rows_out']} kept"
    numbers = f"{rows}, {manifest['quarantined']} quarantined, {manifest['duplicates']} duplicates"
    parts = [
        "# Datasheet",
        f"Data version `{manifest['data_version']}`; seed {manifest['seed']}, night {manifest['night']}.",
        f"{numbers}.",
        "## Sources",
        _table(
            ("source", "kind", "licence", "rows", "kept", "quarantined", "duplicates", "SHA-256", "remark"),
            [_source(source) for source in manifest["sources"]],
        ),
        "## Splits",
        "No two rows of different splits have the same text or the same graph of operators, whatever their "
        "names and sizes.",
        _counted("split", manifest["splits"]),
        _counted("level", manifest["levels"]),
        "## Left out",
        _counted("reason", {**manifest["quarantined_by_reason"], **manifest["duplicates_by_reason"]}),
        "## Operators",
        _counted("operator", manifest["operators"]),
        "## Files",
        _table(("file", "SHA-256"), list(manifest["files"].items())),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _source(source: Mapping[str, Any]) -> Sequence[Any]:
    names = (
        "source",
        "kind",
        "licence",
        "rows_in",
        "rows_out",
        "quarantined",
        "duplicates",
        "sha256",
        "error",
    )
    return [source[name] or ("" if name in ("sha256", "error") else 0) for name in names]


def _counted(what: str, counts: Mapping[str, int]) -> str:
    """A table of counts, the largest first; nothing where there is nothing to count."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return _table((what, "rows"), ordered) if ordered else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
