"""Names of nights, and that a night opened again keeps what it started from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.layout import Layout
from tasks.night import Champion, active_night, main, open_night, resolve_name

CHAMPION = Champion(night="first", model="artifacts/cpu/models/first/abc/hf", md5="abc.dir")


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path, "cpu")


def test_today_is_the_date():
    assert resolve_name("today") == date.today().isoformat()


@pytest.mark.parametrize("name", ["2026-12-01", "seed-2", "a", "A_b.c"])
def test_names(name):
    assert resolve_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "../x", "a b", ".hidden", "x" * 41, "a/b", "2026-13-01", "1-2-3", "x\n"]
)
def test_what_is_not_a_name(name):
    with pytest.raises(WarpsmithError, match="night"):
        resolve_name(name)


def test_a_new_night_starts_from_the_champion(layout):
    assert open_night(layout, "second", lambda: CHAMPION).champion == CHAMPION
    assert active_night(layout).champion == CHAMPION


def test_a_known_night_keeps_its_start_whatever_was_promoted_since(layout):
    open_night(layout, "first", lambda: None)
    open_night(layout, "second", lambda: CHAMPION)
    assert open_night(layout, "first", lambda: CHAMPION).champion is None
    assert active_night(layout).name == "first"


def test_opening_again_writes_nothing(layout):
    open_night(layout, "first", lambda: None)
    before = layout.night_file.stat().st_mtime_ns
    open_night(layout, "first", lambda: None)
    assert layout.night_file.stat().st_mtime_ns == before


def test_a_changed_source_changes_the_parameters(layout):
    source = layout.root / "rows.jsonl"
    source.write_text("1")
    first = open_night(layout, "first", lambda: None, [Path("rows.jsonl")])
    source.write_text("2")
    assert open_night(layout, "first", lambda: None, [Path("rows.jsonl")]).sources != first.sources


def test_a_missing_source_is_named_and_nothing_is_opened(layout):
    with pytest.raises(WarpsmithError, match=r"rows\.jsonl cannot be read"):
        open_night(layout, "first", lambda: None, [Path("rows.jsonl")])
    assert not layout.home.exists()


def test_no_night_is_open(layout):
    with pytest.raises(WarpsmithError, match="no night is open"):
        active_night(layout)


def test_a_broken_file_is_named(layout):
    layout.night_file.parent.mkdir(parents=True)
    layout.night_file.write_text("name: [")
    with pytest.raises(WarpsmithError, match="does not describe a night"):
        active_night(layout)


def test_setup_opens_the_profiles_night_and_leaves_an_open_one(checkout, monkeypatch):
    monkeypatch.setattr("sys.argv", ["night"])
    layout = Layout(Path(), "cpu")
    assert main() == 0
    assert active_night(layout).name == "2026-01-01"
    open_night(layout, "other", lambda: None)
    assert main() == 0
    assert active_night(layout).name == "other"
