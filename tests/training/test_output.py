"""A run's folder: what was there before is lost only when something better has taken its place."""

from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tests.training.killed import steps_done
from tests.training.night import assert_same_weights, base_checkpoint, conversations, write_rows
from tests.training.tiny import one_process
from training.settings.jobs import MegatronSettings, SftJob, TrainingSettings
from training.settings.optimization import SftSettings
from training.sft import train


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return base_checkpoint(tmp_path_factory.mktemp("night"))


def job(checkpoint: Path, folder: Path, **changes) -> SftJob:
    settings = {"steps": 2, "batch_size": 4, "micro_batch_size": 4, "lr": 5e-3, "save_every": 1}
    settings |= {"warmup_steps": 1} | changes
    return SftJob(
        settings=TrainingSettings(megatron=MegatronSettings(nproc_per_node=1), sft=SftSettings(**settings)),
        checkpoint=checkpoint,
        rows=write_rows(folder / "sft.jsonl", conversations()),
        out_dir=folder / "out",
    )


def test_a_save_that_fails_leaves_the_former_output(single_process, checkpoint, tmp_path, monkeypatch):
    run = job(checkpoint, tmp_path)
    train(run)
    output = run.out_dir / "torch_dist"
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise WarpsmithError("the disk is full")

    monkeypatch.setattr("training.checkpoint.torch_dist.save_model", full)
    with pytest.raises(WarpsmithError, match="the disk is full"):
        train(run)
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    assert not list(run.out_dir.glob(".torch_dist*"))


def test_other_settings_set_the_former_run_aside(single_process, checkpoint, tmp_path, capsys):
    former = job(checkpoint, tmp_path)
    train(former)
    metrics = (former.out_dir / "metrics.jsonl").read_text()
    train(job(checkpoint, tmp_path, steps=1))
    aside = former.out_dir / "checkpoints.old-1"
    assert "held the snapshots of another run (up to step 2" in capsys.readouterr().out
    assert (aside / "metrics.jsonl").read_text() == metrics and steps_done(former.out_dir) == 1
    assert (aside / "torch_dist" / "hf").is_dir() and (aside / "step_000002").is_dir()


def test_former_settings_go_on_where_they_were(single_process, checkpoint, tmp_path, capfd):
    train(job(checkpoint, tmp_path, save_every=1))
    metrics = (tmp_path / "out" / "metrics.jsonl").read_text()
    train(job(checkpoint, tmp_path, lr=1e-4, steps=1))
    assert (tmp_path / "out" / "metrics.jsonl").read_text() != metrics
    capfd.readouterr()
    train(job(checkpoint, tmp_path))
    assert "from step 2" in capfd.readouterr().out
    assert (tmp_path / "out" / "metrics.jsonl").read_text() == metrics


def test_a_run_that_gets_more_steps_ends_as_if_it_had_had_them(checkpoint, tmp_path, capfd):
    """Where its learning rate is constant after the warm-up."""
    for folder, steps in (("straight", 4), ("grown", 2), ("grown", 4)):
        (tmp_path / folder).mkdir(exist_ok=True)
        with one_process():
            train(job(checkpoint, tmp_path / folder, steps=steps, decay_fraction=0.0))
    assert "from step 2" in capfd.readouterr().out
    assert_same_weights(*(tmp_path / folder / "out" / "torch_dist" for folder in ("straight", "grown")))
    rows = [(tmp_path / folder / "out" / "metrics.jsonl").read_text() for folder in ("straight", "grown")]
    assert [len(text.splitlines()) for text in rows] == [4, 4]


def test_settings_that_change_no_result_go_on(single_process, checkpoint, tmp_path, capfd):
    train(job(checkpoint, tmp_path))
    train(job(checkpoint, tmp_path, keep_checkpoints=7, save_every=9))
    assert "from step 2" in capfd.readouterr().out
    assert not list((tmp_path / "out").glob("*.old-*"))


def test_a_run_goes_on_past_a_snapshot_that_cannot_be_read(checkpoint, tmp_path, capfd):
    """Its steps are done again, and it ends with the same weights."""
    with one_process():
        train(job(checkpoint, tmp_path))
    output = tmp_path / "out" / "torch_dist"
    output.rename(tmp_path / "straight")
    (tmp_path / "out" / "checkpoints" / "step_000002" / "progress.json").write_text("{")
    with (tmp_path / "out" / "metrics.jsonl").open("a") as file:
        file.write("garbage\n")
    with one_process():
        train(job(checkpoint, tmp_path))
    assert "from step 1" in capfd.readouterr().out
    assert_same_weights(output, tmp_path / "straight")
