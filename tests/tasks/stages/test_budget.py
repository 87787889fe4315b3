"""A night that has used its budget ends cleanly, in the middle of a stage or before one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.disk.layout import Layout, Stage
from tasks.night import open_night
from tasks.profile import load_profile
from tasks.report.ledger import Entry, charged, cost_rows, entries, spent
from tasks.stages.budget import BudgetSpent, within_budget
from tasks.stages.dvc_stage import open_workspace, run_through_dvc
from training.launch.local import REQUEUE

#: A stage that saves what it has when it is asked to stop, as those that train do.
PIPELINE = {
    "prepare": {
        "cmd": "mkdir -p artifacts/cpu/locks; echo $$ > artifacts/cpu/locks/prepare.lock; "
        f"trap 'echo saved > artifacts/cpu/locks/prepare.failure; exit {REQUEUE}' USR1; "
        "sleep 600 & while kill -0 $! 2>/dev/null; do wait $!; done",
        "outs": ["out.txt"],
    }
}


@pytest.fixture
def layout(checkout):
    layout = Layout(Path(), "cpu")
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": PIPELINE}))
    open_night(layout, "n", lambda: None)
    open_workspace(layout)
    return layout


def profile_with(layout, **budget):
    profile = load_profile(layout)
    return profile.model_copy(update={"budget": profile.budget.model_copy(update=budget)})


def row(hours, stage=Stage.GRPO, gpus=2, night="n") -> Entry:
    return Entry(night=night, stage=stage, ended=True, seconds=3600 * hours, gpus=gpus, cpu_seconds=1800)


def test_a_stage_is_asked_to_stop_when_the_budget_is_spent(layout):
    profile = profile_with(layout, hours=2 / 3600)
    with pytest.raises(BudgetSpent, match=r"in stage prepare, which goes on from where .* of hours 0\.000"):  # noqa: SIM117
        with charged(layout, profile, "n", Stage.PREPARE), within_budget(layout, profile, "n", Stage.PREPARE):
            run_through_dvc(layout, Stage.PREPARE)
    (entry,) = entries(layout)
    assert not entry.ended and 1.5 < entry.seconds < 120 and entry.night == "n"
    with pytest.raises(BudgetSpent, match="before stage sft"), within_budget(layout, profile, "n", Stage.SFT):
        pytest.fail("it ran")


@pytest.mark.parametrize(
    ("night", "budget"), [("n", {}), ("other", {"hours": 1.0}), ("n", {"gpu_hours": 1.0})]
)
def test_a_budget_counts_for_its_own_night_and_what_it_names(layout, night, budget, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    layout.ledger.write_text(row(3).model_dump_json() + "\n")
    with within_budget(layout, profile_with(layout, **budget), night, Stage.SFT):
        pass


def test_gpu_hours_are_those_of_all_gpus_that_are_held(layout, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    layout.ledger.write_text(row(3).model_dump_json() + "\n")
    profile = profile_with(layout, gpu_hours=5.0)
    with pytest.raises(BudgetSpent, match=r"3\.00 hours and 6\.00 GPU-hours of gpu_hours 5"):  # noqa: SIM117
        with within_budget(layout, profile, "n", Stage.SFT):
            pytest.fail("it ran")


def test_costs_are_told_by_stage_and_by_newly_solved_problem():
    found = [row(1), row(2, Stage.SFT), row(9, night="other")]
    assert spent(found, "n") == (3, 6, 1)
    rows = {one["what"]: one for one in cost_rows(found, "n", solved=4)}
    assert rows["sft"]["GPU-hours"] == "4.000" and rows["the night"]["hours"] == "3.000"
    assert rows["each newly solved problem"]["core-hours"] == "0.250"
    assert "each newly solved problem" not in {one["what"] for one in cost_rows(found, "n", solved=0)}
