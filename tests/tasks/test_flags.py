"""Flags of a night under the real DVC: they put out of date exactly the stages that read what they change."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.disk.layout import Layout, Stage
from tasks.night import open_night
from tasks.profile import load_profile, read_flags
from tasks.stages.dvc_stage import open_workspace, preload

LAYOUT = Layout(Path(), "cpu")


def launch(*flags: str) -> None:
    """Open the night with these flags, as the flow does."""
    _, overrides = read_flags(LAYOUT, flags)
    open_night(LAYOUT, "night", lambda: None, overrides)


@pytest.fixture
def repo(checkout):
    """A pipeline of the real stages' parameters, whose commands do nothing, run once without flags."""
    stages = {
        name: {"cmd": "true", "params": stage["params"]}
        for name, stage in yaml.safe_load(Path("dvc.yaml").read_text())["stages"].items()
        if "params" in stage
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    launch()
    open_workspace(LAYOUT)
    preload()
    from dvc.repo import Repo

    with Repo() as repo:
        repo.reproduce()
        yield repo


def outdated(repo) -> set[str]:
    return set(repo.status())


def test_flags_put_the_right_stages_out_of_date_and_only_those(repo):
    assert outdated(repo) == set()
    for flags, stages in (
        (["--grpo-steps", "5"], {Stage.GRPO}),
        (["--rollout-temperature", "0.7"], {Stage.GRPO, Stage.EVALUATE}),
        (["--lr", "1e-6"], {Stage.SFT, Stage.GRPO}),
        (["--bf16"], {Stage.CONVERT, Stage.SFT, Stage.GRPO}),
        (["--data-heldout-level2", "7"], {Stage.PREPARE}),
        (["--benchmark-samples-per-problem", "2"], {Stage.EVALUATE}),
        (["--grpo-steps", str(load_profile(LAYOUT).grpo.steps)], set()),
        ([], set()),
    ):
        launch(*flags)
        assert outdated(repo) == stages, flags


def test_what_ran_with_flags_is_up_to_date_with_the_same_flags(repo):
    launch("--grpo-steps", "5")
    repo.reproduce()
    launch("--num-rollout", "5")
    assert outdated(repo) == set()
    launch()
    assert outdated(repo) == {Stage.GRPO}
