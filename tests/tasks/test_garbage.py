"""What no night and no model needs goes, and what one needs can still be had."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tasks.garbage import clean_up, main
from tasks.models.kept import model_path
from tasks.night import Champion, open_night
from tasks.registry import Registry
from tasks.report.history import keep
from tasks.stages.dvc_stage import How, bring, open_workspace, push, run_through_dvc
from tasks.tracking.runs import Tracking
from tests.tasks import tiny_steps
from training.launch.lock import exclusive

LAYOUT = Layout(Path(), "cpu")
#: All stages, of which only the first is run.
PIPELINE = "stages:\n" + "\n".join(
    f"""  {stage}:
    wdir: ${{root}}
    cmd: mkdir -p artifacts/cpu/{stage}; cat in.txt > artifacts/cpu/{stage}/out.txt
    deps: [in.txt]
    outs: [artifacts/cpu/{stage}/out.txt]"""
    for stage in Stage
)


def night(name: str, champion: Champion | None = None) -> None:
    """A night that ends, with an output and checkpoints of its own."""
    Path("in.txt").write_text(f"drawn for {name}")
    open_night(LAYOUT, name, lambda: champion)
    open_workspace(LAYOUT)
    assert run_through_dvc(LAYOUT, Stage.PREPARE).how is not How.SKIPPED
    (LAYOUT.training(name, Stage.SFT) / "checkpoints").mkdir(parents=True)
    push(LAYOUT)
    keep(LAYOUT, name)


def registered(name: str, report: Path) -> str:
    """The hash of a model that is registered by a night."""
    model = Path("made")
    shutil.rmtree(model, ignore_errors=True)
    model.mkdir()
    (model / "w").write_text(name)
    md5 = path_md5(model)
    Registry(Tracking(LAYOUT)).register(name, model, report, md5)
    return md5


@pytest.fixture
def nights(checkout):
    """Three nights and three models: the first is the champion, the version of the second was deleted."""
    Path("dvc.yaml").write_text(PIPELINE)
    folder = LAYOUT.stage(Stage.EVALUATE)
    folder.mkdir(parents=True)
    tiny_steps.evaluate(type("Context", (), {"out": folder}))
    hashes = [registered(name, folder / "report.json") for name in "abc"]
    for name in "abc":
        night(name)
    client = Tracking(LAYOUT).client
    client.set_registered_model_alias("warpsmith-cpu", "champion", "1")
    client.delete_model_version("warpsmith-cpu", "2")
    return hashes


def everything() -> set[Path]:
    return {path for path in Path().rglob("*") if path.is_file() and "tmp" not in path.parts}


def text_of(name: str) -> str:
    """A night's output, restored by DVC."""
    Path("in.txt").write_text(f"drawn for {name}")
    run_through_dvc(LAYOUT, Stage.PREPARE)
    return (LAYOUT.stage(Stage.PREPARE) / "out.txt").read_text()


def test_what_nobody_needs_is_listed_first_and_deleted_when_asked(nights, monkeypatch, capsys):
    before = everything()
    assert main(["--nights", "1"]) == 0
    said = capsys.readouterr().out
    assert "artifacts/cpu/training/a\n" in said and "artifacts/cpu/training/c\n" not in said
    assert str(model_path(LAYOUT, nights[1]).parent) in said and "--delete deletes it" in said
    assert nights[0].removesuffix(".dir") not in said and nights[2].removesuffix(".dir") not in said
    running = pytest.raises(WarpsmithError, match="night of profile cpu is running")
    with exclusive(LAYOUT.lock("night"), ""), running:
        clean_up(Path(), 1, delete=True)
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        away.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        away.setattr("tasks.tracking.client.PATIENCE_S", 0.0)
        assert main(["--nights", "1", "--delete"]) == 2
    assert "MLflow at http://127.0.0.1:9 cannot be used" in capsys.readouterr().err
    assert before <= everything()

    found = {one.what: len(one.paths) for one in clean_up(Path(), 1, delete=True)}
    assert found["checkpoints of earlier nights of cpu"] == 2
    assert found["models without a version of cpu"] == 1
    # An output of each of two nights, and a model's folder and file.
    assert found["objects in DVC's cache"] == found["objects in DVC's remote"] == 4
    assert [path.name for path in LAYOUT.home.glob("training/*")] == ["c"]
    assert [len(one.paths) for one in clean_up(Path(), 1, delete=False)] == [0] * 5


def test_what_the_last_night_and_the_registry_need_can_be_had(nights):
    started = model_path(LAYOUT, nights[1])  # the model of the version that was deleted
    night("d", Champion(night="b", model=started.as_posix(), md5=nights[1]))
    clean_up(Path(), 1, delete=True)
    for md5 in nights:
        assert path_md5(model_path(LAYOUT, md5)) == md5
    shutil.rmtree(LAYOUT.models)
    champion = Registry(Tracking(LAYOUT)).champion()
    assert (Path(champion.model), champion.md5) == (model_path(LAYOUT, nights[0]), nights[0])
    shutil.rmtree(LAYOUT.stage(Stage.PREPARE))
    assert text_of("d") == "drawn for d"

    assert text_of("a") == "drawn for a"  # made again, and pushed again
    assert push(LAYOUT) > 0
    shutil.rmtree(LAYOUT.stage(Stage.PREPARE)), shutil.rmtree(".dvc/cache/files")
    bring(LAYOUT, Stage.PREPARE)
    assert (LAYOUT.stage(Stage.PREPARE) / "out.txt").read_text() == "drawn for a"
