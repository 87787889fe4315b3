"""Snapshots are complete or absent, belong to one run, and bring everything back."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.tiny import random_examples
from training.config import MegatronSettings
from training.model.architecture import read_architecture
from training.optimization import SftSettings
from training.rollout.prompts import CursorState
from training.sft import step
from training.snapshots import Progress, Snapshots, fingerprint
from training.trainer import Trainer


def trainer(hf_dir: Path) -> Trainer:
    built = Trainer(read_architecture(hf_dir), MegatronSettings(nproc_per_node=1), SftSettings(), 100)
    with torch.no_grad():
        for parameter in built.model.parameters():
            parameter.fill_(0.01)
    return built


def cursor(drawn: int) -> CursorState:
    return {"count": 10, "seed": 0, "drawn": drawn}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def draws() -> list[float]:
    return [random.random(), np.random.random(), torch.rand(()).item()]


def test_a_restored_run_goes_on_with_the_same_numbers(single_process, hf_dir, tmp_path):
    first = trainer(hf_dir)
    snapshots = Snapshots(tmp_path, keep=2, fingerprint="x")
    for seed in range(3):
        step(first, random_examples(4, seed))
    snapshots.save(first, Progress(3, cursor(12)))
    expected = draws(), [step(first, random_examples(4, seed)) for seed in (3, 4)]

    second = trainer(hf_dir)
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    progress = Snapshots(tmp_path, keep=2, fingerprint="x").restore(second)
    assert progress == Progress(3, cursor(12))
    assert (draws(), [step(second, random_examples(4, seed)) for seed in (3, 4)]) == expected


def test_only_the_latest_are_kept_and_the_last_is_restored(single_process, hf_dir, tmp_path):
    model = trainer(hf_dir)
    snapshots = Snapshots(tmp_path, keep=2, fingerprint="x")
    for number in (1, 2, 10):
        snapshots.save(model, Progress(number, cursor(number)))
    assert names(tmp_path) == ["step_000002", "step_000010"]
    assert snapshots.restore(model) == Progress(10, cursor(10))


def test_leftovers_and_other_runs_are_removed(single_process, hf_dir, tmp_path):
    model = trainer(hf_dir)
    Snapshots(tmp_path, keep=3, fingerprint="x").save(model, Progress(1, cursor(1)))
    (tmp_path / ".step_000002").mkdir()
    same = Snapshots(tmp_path, keep=3, fingerprint="x")
    assert names(tmp_path) == ["step_000001"] and same.restore(model) is not None
    other = Snapshots(tmp_path, keep=3, fingerprint="y")
    assert names(tmp_path) == [] and other.restore(model) is None


def test_a_failed_write_leaves_nothing(single_process, hf_dir, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise WarpsmithError("the disk is full")

    monkeypatch.setattr("training.checkpoint.torch_dist.save", full)
    with pytest.raises(WarpsmithError):
        Snapshots(tmp_path, keep=1, fingerprint="x").save(trainer(hf_dir), Progress(1, cursor(1)))
    assert names(tmp_path) == []


def test_a_fingerprint_follows_settings_and_contents(tmp_path):
    (tmp_path / "rows").write_text("a")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "part").write_text("b")
    inputs = [tmp_path / "rows", tmp_path / "folder"]
    first = fingerprint([SftSettings()], inputs)
    assert fingerprint([SftSettings()], inputs) == first
    assert fingerprint([SftSettings(lr=1.0)], inputs) != first
    (tmp_path / "folder" / "part").write_text("c")
    assert fingerprint([SftSettings()], inputs) != first
