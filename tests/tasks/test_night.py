"""Names of nights, and that a night opened again keeps what it started from."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout
from tasks.night import (
    Champion,
    active_night,
    active_settings,
    main,
    open_night,
    recorded_night,
    resolve_name,
)
from tasks.profile import SECTIONS, load_profile
from tests.conftest import ROOT

CHAMPION = Champion(night="first", model="artifacts/cpu/models/first/abc/hf", md5="abc.dir")


PROFILE = "infra/profiles/cpu.yaml"


@pytest.fixture
def layout(tmp_path):
    (tmp_path / PROFILE).parent.mkdir(parents=True)
    shutil.copy(ROOT / PROFILE, tmp_path / PROFILE)
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
    source, overrides = layout.root / "rows.jsonl", {"data": {"sources": ["rows.jsonl"]}}
    source.write_text("1")
    first = open_night(layout, "first", lambda: None, overrides)
    source.write_text("2")
    assert open_night(layout, "first", lambda: None, overrides).sources != first.sources


def test_a_missing_source_is_named_and_nothing_is_opened(layout):
    with pytest.raises(WarpsmithError, match=r"rows\.jsonl cannot be read"):
        open_night(layout, "first", lambda: None, {"data": {"sources": ["rows.jsonl"]}})
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
    open_night(layout, "first", lambda: None, {"grpo": {"steps": 5}})
    assert active_night(layout).overrides["grpo"] == {"steps": 5}
    assert recorded_night(layout, "first") == active_night(layout)
    assert not any(open_night(layout, "first", lambda: None).overrides.values())


def test_the_settings_are_written_whole_and_divided_because_dvc_needs_it(layout):
    open_night(layout, "first", lambda: None, {"grpo": {"steps": 5}})
    written = yaml.safe_load(layout.night_file.read_text())
    assert set(written["result"]) == set(written["machine"]) == set(SECTIONS)
    assert written["result"]["grpo"]["steps"] == 5 and written["machine"]["evaluation"]["workers"] == 2
    assert active_settings(layout)[0] == load_profile(layout, {"grpo": {"steps": 5}}).model_copy(
        update={"night": "first"}
    )


def test_an_edit_of_the_profile_enters_when_the_night_is_opened_again(layout):
    open_night(layout, "first", lambda: None)
    before = active_settings(layout)
    text = (layout.root / PROFILE).read_text()
    (layout.root / PROFILE).write_text(text.replace("  steps: 60\n", "  steps: 7\n"))
    assert active_settings(layout) == before
    (layout.root / PROFILE).write_text("nonsense")
    assert active_settings(layout) == before
    (layout.root / PROFILE).write_text(text.replace("  steps: 60\n", "  steps: 7\n"))
    open_night(layout, "first", lambda: None)
    assert active_settings(layout)[0].grpo.steps == 7


def test_a_night_of_an_older_version_is_opened_anew(layout):
    layout.night_file.parent.mkdir(parents=True)
    layout.night_file.write_text("name: a\nchampion: null\nsources: {}\noverrides: {data: {}}\n")
    with pytest.raises(WarpsmithError, match="has no settings; `make nightly` opens the night anew"):
        active_settings(layout)


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
