"""The page of all settings is what the code says."""

from __future__ import annotations

from pathlib import Path

from tasks.profile import SECTIONS
from tasks.report.settings_page import PAGE, settings_page

ROOT = Path(__file__).parents[3]


def test_the_page_is_current():
    written = (ROOT / PAGE).read_text()
    assert written == settings_page(), "run `python -m tasks.report.settings_page`"


def test_every_section_and_what_is_nested_is_there():
    page = settings_page()
    assert all(f"## {section}\n" in page for section in SECTIONS)
    assert "`--gate-correct-margin`" in page and "| result |" in page and "| machine |" in page
    row = next(line for line in page.splitlines() if "`--benchmark-samples-per-problem`" in line)
    assert "`4`" in row and "Responses that each model gives to each problem." in row
