"""Names of nights, and that a night opened again keeps what it started from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from evaluation.errors import WarpsmithError
from tasks.layout import Layout
from tasks.night import (
    Champion,
    active_night,
    active_settings,
    main,
    open_night,
    recorded_night,
    resolve_name,
)
from tasks.profile import SECTIONS

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


@pytest.mark.parametrize(("profile", "command"), [("cpu", "setup"), ("h200", "setup PROFILE=h200")])
def test_no_night_is_open(tmp_path, profile, command):
    with pytest.raises(WarpsmithError, match=f"no night is open; `make {command}` opens one"):
        active_night(Layout(tmp_path, profile))


def test_a_broken_file_is_named(layout):
    layout.night_file.parent.mkdir(parents=True)
    layout.night_file.write_text("name: [")
    with pytest.raises(WarpsmithError, match="does not describe a night"):
        active_night(layout)


def test_setup_opens_the_profiles_night_and_leaves_an_open_one(checkout):
    layout = Layout(Path(), "cpu")
    assert main([]) == 0
    assert active_night(layout).name == "2026-01-01"
    open_night(layout, "other", lambda: None)
    assert main([]) == 0
    assert active_night(layout).name == "other"


def test_the_flags_of_a_night_are_those_of_its_last_launch(layout):
    open_night(layout, "first", lambda: None, overrides={"grpo": {"steps": 5}})
    assert active_night(layout).overrides["grpo"] == {"steps": 5}
    assert recorded_night(layout, "first") == active_night(layout)
    assert not any(open_night(layout, "first", lambda: None).overrides.values())


def test_every_section_is_written_because_dvc_needs_it(layout):
    open_night(layout, "first", lambda: None, overrides={"grpo": {"steps": 5}})
    assert set(yaml.safe_load(layout.night_file.read_text())["overrides"]) == set(SECTIONS)


def test_a_night_of_an_older_version_has_no_flags(layout):
    layout.night_file.parent.mkdir(parents=True)
    layout.night_file.write_text("name: a\nchampion: null\nsources: {}\n")
    assert set(active_night(layout).overrides) == set(SECTIONS)


def test_flags_change_the_open_night(checkout):
    layout = Layout(Path(), "cpu")
    open_night(layout, "other", lambda: CHAMPION)
    assert main(["--grpo-steps", "5"]) == 0
    profile, night = active_settings(layout)
    assert (night.name, night.champion, profile.grpo.steps) == ("other", CHAMPION, 5)


def test_a_wrong_flag_is_one_sentence_and_changes_nothing(checkout, capsys):
    assert main(["--grpo-stepz", "5"]) == 2
    assert capsys.readouterr().err == (
        "error: there is no flag `--grpo-stepz`; the nearest valid one is `--grpo-steps`\n"
    )
    assert not Layout(Path(), "cpu").night_file.exists()
