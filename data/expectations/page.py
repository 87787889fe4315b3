"""The gate on one page that needs no network: the library's own look there for styles and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from data.expectations.suite import Outcome

PAGE = "gate.html"
"""Its name, beside the library's own."""


def page(outcomes: Sequence[Outcome], problems: int) -> str:
    """All outcomes, what is broken first."""
    held = sum(outcome.success for outcome in outcomes)
    rows = [
        (
            one.table,
            one.name,
            one.severity,
            "holds" if one.success else "broken",
            one.detail or " ".join(one.rows[:20]),
        )
        for one in sorted(outcomes, key=lambda one: one.success)
    ]
    cells = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Data gate</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem}td,th{padding:.2rem .8rem;text-align:left}"
        "</style><h1>Data gate</h1>"
        f"<p>{held} of {len(outcomes)} expectations hold for {problems} problems; a critical one "
        "that is broken stops the night, a warning is shown only.</p><table>"
        "<tr><th>table<th>expectation<th>severity<th>outcome<th>what was found</tr>"
        + "".join(f"<tr>{row}</tr>" for row in cells)
        + "</table></html>\n"
    )
