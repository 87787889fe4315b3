"""Evaluation during training: what it logs, that training does not notice it, and which snapshot is best."""

import json
import shutil

import pytest

from evaluation.errors import WarpsmithError
from tests.training.night import assert_same_weights, metrics, write_rows
from tests.training.test_grpo import job
from tests.training.tiny import one_process
from training.grpo import train

EVAL = {"eval_interval": 2, "eval_samples_per_prompt": 3, "eval_temperature": 0.5, "save_every": 6}
NAME = "eval/validation/reward/mean"


def with_validation(run):
    rows = [{"prompt": [{"role": "user", "content": f"write {i}"}], "label": f"v{i}"} for i in range(3)]
    return run.model_copy(update={"validation": write_rows(run.checkpoint.parent / "validation.jsonl", rows)})


def test_it_is_logged_and_disturbs_nothing(folder, tmp_path):
    with one_process():
        train(job(folder, tmp_path / "without", grpo={"save_every": 6}))
        train(with_validation(job(folder, tmp_path / "with", grpo=EVAL)))
    history = metrics(tmp_path / "with")
    assert [row["step"] for row in history if NAME in row] == [2, 4, 6]
    assert all(row["eval/validation/samples"] == 9 for row in history if NAME in row)
    assert {k for k in history[1] if k.startswith("eval/")} >= {
        "eval/validation/reward/best",
        "eval/validation/response_length_mean",
        "eval/validation/truncated",
    }
    trained = [{k: v for k, v in row.items() if not k.startswith("eval/")} for row in history]
    assert trained == metrics(tmp_path / "without")
    assert_same_weights(tmp_path / "with" / "torch_dist", tmp_path / "without" / "torch_dist")


def test_equal_weights_get_equal_marks(single_process, folder, tmp_path):
    train(with_validation(job(folder, tmp_path, grpo={**EVAL, "steps": 4, "lr": 1e-12})))
    first, second = (row for row in metrics(tmp_path) if NAME in row)
    for name in (name for name in first if name.startswith("eval/")):
        assert first[name] == second[name], name


@pytest.mark.parametrize("grpo", [{}, {"asynchronous": True, "importance_cap": 2.0}])
def test_the_best_snapshot_is_kept_and_found_again(single_process, folder, tmp_path, grpo):
    settings = {**EVAL, "eval_interval": 1, "save_every": 1, "keep_checkpoints": 1, "steps": 8, **grpo}
    run = with_validation(job(folder, tmp_path, grpo=settings))
    train(run)
    checkpoints = tmp_path / "checkpoints"
    best = json.loads((checkpoints / "best.json").read_text())
    marks = {row["step"]: row[NAME] for row in metrics(tmp_path)}
    top = max(marks, key=lambda step: (marks[step], -step))
    assert best == {"step": top, "metric": NAME, "value": marks[top], "folder": f"step_{top:06d}"}
    kept = {path.name for path in checkpoints.iterdir()}
    assert kept == {"best.json", f"step_{top:06d}", "step_000008"}
    (checkpoints / "best.json").unlink()
    shutil.rmtree(tmp_path / "torch_dist")
    train(run)
    assert json.loads((checkpoints / "best.json").read_text()) == best


def test_another_runs_best_is_forgotten(single_process, folder, tmp_path):
    train(with_validation(job(folder, tmp_path, grpo={**EVAL, "steps": 2})))
    assert (tmp_path / "checkpoints" / "best.json").exists()
    train(job(folder, tmp_path, grpo={"steps": 1}))
    assert not (tmp_path / "checkpoints" / "best.json").exists()


def test_the_prompts_must_be_there_and_sound(single_process, folder, tmp_path):
    run = job(folder, tmp_path, grpo=EVAL)
    with pytest.raises(WarpsmithError, match="names no validation prompts"):
        train(run)
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(WarpsmithError, match=r"bad\.jsonl, line 1: prompt"):
        train(run.model_copy(update={"validation": tmp_path / "bad.jsonl"}))
