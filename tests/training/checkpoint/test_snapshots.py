"""Snapshots are complete or absent, belong to one run, and bring everything back."""

import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.tiny import random_examples
from training.checkpoint.snapshots import Progress, Snapshots, fingerprint
from training.optimize.trainer import Trainer
from training.rollout.prompts import CursorState
from training.settings.architecture import read_architecture
from training.settings.jobs import MegatronSettings
from training.settings.optimization import GrpoSettings, SftSettings
from training.settings.rollout import RolloutSettings
from training.sft import step


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


@pytest.fixture
def own_generator(monkeypatch):
    """Python's global generator for this thread alone: others draw from it, as Prefect's websocket does for
    its pings. One here never stops."""
    own, ended = random.Random(), threading.Event()
    for name in ("getstate", "setstate", "seed", "random"):
        monkeypatch.setattr(random, name, getattr(own, name))

    def draw() -> None:
        while not ended.wait(0.001):
            random.getrandbits(32)

    thread = threading.Thread(target=draw)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_a_restored_run_goes_on_with_the_same_numbers(single_process, own_generator, hf_dir, tmp_path):
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


def saved(hf_dir: Path, folder: Path, *steps: int) -> Trainer:
    """A trainer whose snapshots of these steps are in the folder."""
    model = trainer(hf_dir)
    snapshots = Snapshots(folder, keep=9, fingerprint="x")
    for number in steps:
        snapshots.save(model, Progress(number, cursor(number)))
    return model


def test_leftovers_are_removed_and_what_is_not_ours_stays(single_process, hf_dir, tmp_path):
    model = saved(hf_dir, tmp_path, 1)
    (tmp_path / ".step_000002").mkdir()
    for stray in ("step_last", "notes", ".nfs0001"):
        (tmp_path / stray).mkdir()
    (tmp_path / "todo.txt").write_text("mine")
    same = Snapshots(tmp_path, keep=1, fingerprint="x")
    assert same.restore(model) == Progress(1, cursor(1))
    same.save(model, Progress(2, cursor(2)))
    assert names(tmp_path) == [".nfs0001", "notes", "step_000002", "step_last", "todo.txt"]


def test_another_runs_snapshots_are_set_aside_and_named(single_process, hf_dir, tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    model = saved(hf_dir, folder, 1, 3)
    other = Snapshots(folder, keep=3, fingerprint="y")
    assert names(folder) == [] and other.restore(model) is None
    assert other.former == tmp_path / "checkpoints.old-1"
    assert names(other.former) == ["step_000001", "step_000003"]
    said = capsys.readouterr().out
    assert "another run (up to step 3; other settings or inputs)" in said and str(other.former) in said
    other.save(model, Progress(1, cursor(1)))
    assert Snapshots(folder, keep=3, fingerprint="z").former == tmp_path / "checkpoints.old-2"


def cut_tensors(snapshot: Path) -> None:
    file = sorted(snapshot.glob("*.distcp"))[0]
    file.write_bytes(file.read_bytes()[:-100])


DAMAGE = {
    "progress.json is damaged": lambda snapshot: (snapshot / "progress.json").write_text('{"step": '),
    "it lacks progress.json": lambda snapshot: (snapshot / "progress.json").unlink(),
    "random_00000.pickle is damaged": lambda snapshot: (snapshot / "random_00000.pickle").write_bytes(b"x"),
    "it lacks metadata.json": lambda snapshot: (snapshot / "metadata.json").unlink(),
    "distcp is cut off or missing": cut_tensors,
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_a_damaged_snapshot_gives_way_to_the_one_before_it(single_process, hf_dir, tmp_path, capsys, reason):
    model = saved(hf_dir, tmp_path, 3, 6)
    DAMAGE[reason](tmp_path / "step_000006")
    snapshots = Snapshots(tmp_path, keep=9, fingerprint="x")
    assert snapshots.restore(model) == Progress(3, cursor(3))
    said = capsys.readouterr().out
    assert "cannot read step_000006 (" in said and f"{reason}); training goes on from step_000003" in said
    snapshots.save(model, Progress(6, cursor(6)))
    assert names(tmp_path) == ["step_000003", "step_000006", "step_000006.unreadable"]


def test_if_no_snapshot_can_be_read_the_run_begins_anew(single_process, hf_dir, tmp_path, capsys):
    model = saved(hf_dir, tmp_path, 3)
    (tmp_path / "step_000003" / "common.pt").write_bytes(b"damaged")
    (tmp_path / "step_000004").write_text("a file")
    assert Snapshots(tmp_path, keep=9, fingerprint="x").restore(model) is None
    said = capsys.readouterr().out
    assert "cannot read step_000004 (" in said and "and step_000003 (" in said
    assert said.endswith("training begins anew\n") and said.count("\n") == 1


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


def test_settings_that_change_no_result_leave_the_fingerprint(tmp_path):
    first = fingerprint([GrpoSettings(), RolloutSettings()], [])
    other = GrpoSettings(save_every=3, keep_checkpoints=9, stop_kl_above=0.5, stop_patience=1)
    served = RolloutSettings(request_timeout_s=9.0, num_engines=4, server_python="/usr/bin/python")
    assert fingerprint([other, served], []) == first
    assert fingerprint([GrpoSettings(), RolloutSettings(temperature=0.5)], []) != first


def test_steps_may_grow_where_the_learning_rate_does_not_depend_on_them():
    def named(**changes) -> str:
        settings = {"steps": 30, "warmup_steps": 5, "decay_fraction": 0.0} | changes
        return fingerprint([GrpoSettings(**settings)], [])

    assert named() == named(steps=31)
    assert named(decay_fraction=0.1) != named(decay_fraction=0.1, steps=31)
    assert named(steps=4) != named(steps=5)  # the warm-up is cut short


def test_snapshots_beyond_the_last_step_are_those_of_another_run(single_process, hf_dir, tmp_path):
    folder = tmp_path / "checkpoints"
    saved(hf_dir, folder, 1, 3)
    assert Snapshots(folder, keep=3, fingerprint="x", steps=3).former is None
    assert Snapshots(folder, keep=3, fingerprint="x", steps=2).former == tmp_path / "checkpoints.old-1"


def test_former_settings_take_their_snapshots_up_again(single_process, hf_dir, tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    model = saved(hf_dir, folder, 1, 3)
    Snapshots(folder, keep=3, fingerprint="y").save(model, Progress(1, cursor(1)))
    again = Snapshots(folder, keep=3, fingerprint="x")
    assert names(folder) == ["step_000001", "step_000003"]
    assert f"goes on with what was in {tmp_path / 'checkpoints.old-1'}" in capsys.readouterr().out
    assert again.former == tmp_path / "checkpoints.old-2" and names(again.former) == ["step_000001"]
