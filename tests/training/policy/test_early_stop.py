"""A collapsed policy ends its run with a sentence that says what, how far, and where the best weights are."""

from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tests.training.night import metrics
from tests.training.test_grpo import job
from training.checkpoint.snapshots import Best
from training.grpo import train
from training.policy.early_stop import EarlyStop, IdleSteps
from training.rollout.rewards.rewards import Response, Reward
from training.settings.optimization import GrpoSettings

BEST = Best(step=4, metric="eval/validation/reward/mean", value=0.75, folder="step_000004")


def same(responses: list[Response]) -> list[Reward]:
    """A reward that teaches nothing."""
    return [Reward(0.5) for _ in responses]


def stop_at(history, best=None, **settings):
    """The step at which a run with these metrics is stopped, and why."""
    watch = EarlyStop(GrpoSettings(**settings))
    for step, row in enumerate(history, 1):
        try:
            watch.check(step, row, best, Path("out/checkpoints"))
        except WarpsmithError as error:
            return step, str(error)
    return None, ""


@pytest.mark.parametrize(
    ("setting", "limit", "metric", "good", "bad"),
    [
        ("stop_kl_above", 0.5, "train/kl", 0.5, 0.6),
        ("stop_entropy_below", 0.1, "train/entropy", 0.1, 0.05),
        ("stop_entropy_above", 3.0, "train/entropy", 3.0, 4.0),
        ("stop_reward_below", 0.0, "reward/mean", 0.0, -0.1),
    ],
)
def test_a_bound_must_be_broken_in_a_row(setting, limit, metric, good, bad):
    history = [{metric: value} for value in (bad, bad, good, bad, bad, bad, good)]
    step, reason = stop_at(history, stop_patience=3, **{setting: limit})
    assert step == 6
    for part in (metric, f"{bad:g}", f"grpo.{setting} {limit:g}", "3 steps in a row", "out/checkpoints"):
        assert part in reason


def test_the_best_checkpoint_is_named():
    _, reason = stop_at([{"reward/mean": 0.0}], BEST, stop_patience=1, stop_reward_below=0.1)
    assert "reward/mean 0.75 at step 4) is out/checkpoints/step_000004" in reason


def test_without_bounds_or_values_nothing_stops():
    assert stop_at([{"train/kl": 1e9, "train/entropy": 0.0, "reward/mean": -9.0}] * 9) == (None, "")
    assert stop_at([{"train/updates": 0.0}] * 9, stop_kl_above=1e-9, stop_patience=1) == (None, "")


def test_a_step_without_the_metric_leaves_the_count_as_it_is():
    broken, idle = {"train/entropy": 0.0}, {"train/updates": 0.0}
    history = [broken, idle, broken, idle, idle, broken, idle]
    step, reason = stop_at(history, stop_patience=3, stop_entropy_below=0.1)
    assert step == 6 and "3 steps in a row" in reason
    watch = EarlyStop(GrpoSettings(stop_entropy_below=0.1, stop_patience=1))
    watch.recall([broken])
    watch.check(2, idle, None, Path())


@pytest.mark.parametrize("setting", ["stop_entropy_below", "stop_entropy_above"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_out_of_bounds(setting, value):
    step, _ = stop_at([{"train/entropy": value}] * 3, stop_patience=3, **{setting: 1.0})
    assert step == 3


def test_steps_that_teach_nothing_are_said_ever_more_rarely():
    idle, busy = {"train/updates": 0.0}, {"train/updates": 2.0}
    steps = IdleSteps()
    said = [step for step in range(1, 26) if steps.check(idle)]
    assert said == [3, 6, 12, 24]
    assert steps.check(busy) is None
    steps.recall([idle, idle])
    assert "in the last 3 steps" in steps.check(idle)


def test_a_run_without_spread_warns_and_goes_on(single_process, folder, tmp_path, capfd):
    train(job(folder, tmp_path, grpo={"steps": 4}, reward_function=f"{__name__}:same"))
    assert capfd.readouterr().out.count("warning: nothing was learnt in the last 3 steps") == 1
    assert len(metrics(tmp_path)) == 4


def test_steps_before_a_resume_count():
    watch = EarlyStop(GrpoSettings(stop_reward_below=0.5, stop_patience=3))
    watch.recall([{"reward/mean": 0.0}] * 2)
    with pytest.raises(WarpsmithError):
        watch.check(3, {"reward/mean": 0.0}, None, Path())


def test_a_run_stops_and_stops_again(single_process, folder, tmp_path):
    run = job(folder, tmp_path, grpo={"stop_entropy_below": 99.0, "stop_patience": 3})
    for _ in range(2):
        with pytest.raises(WarpsmithError, match=r"stopped at step 3: train/entropy .* below"):
            train(run)
        assert len(metrics(tmp_path)) == 3


def test_watching_the_divergence_changes_nothing_but_measures_it(single_process, folder, tmp_path):
    train(job(folder, tmp_path / "plain", grpo={"steps": 3}))
    train(job(folder, tmp_path / "watched", grpo={"steps": 3, "stop_kl_above": 1e9}))
    plain, watched = metrics(tmp_path / "plain"), metrics(tmp_path / "watched")
    assert all(row.pop("train/kl") >= 0 for row in watched)
    assert watched == plain
