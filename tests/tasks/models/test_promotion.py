"""Promotion against a real registry: aliases, kept copies, and that repeating it changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest
from tasks.models.promotion import promote
from tasks.night import open_night
from tasks.profile import load_profile
from tasks.registry import Registry, main, model_folder
from tasks.stages.context import Context
from tasks.tracking.runs import NIGHT, Tracking
from tests.tasks import tiny_steps


@pytest.fixture
def layout(checkout):
    return Layout(Path(), "cpu")


@pytest.fixture
def registry(layout):
    return Registry(Tracking(layout))


def trained(layout, registry, name, weights):
    """A night whose model holds `weights` and whose benchmark is the tiny one."""
    night = open_night(layout, name, registry.champion)
    model = layout.stage(Stage.EXPORT) / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "w").write_text(weights)
    context = Context(Stage.EVALUATE, layout, load_profile(layout), night)
    if not context.out.exists():
        context.out.mkdir(parents=True)
        tiny_steps.evaluate(context)
    Manifest(
        stage="evaluate", profile="cpu", inputs={}, config_hash="", code_revision="", mlflow_run_id="r",
        seconds=1, metrics={},
    ).write(layout.manifest(Stage.EVALUATE))  # fmt: skip
    return night


def test_the_first_model_is_kept_and_becomes_champion_and_challenger(layout, registry):
    night = trained(layout, registry, "first", "one")
    assert promote(layout, night, registry).decision.promote
    champion = registry.champion()
    assert champion.night == "first" and (layout.root / champion.model / "w").read_text() == "one"
    assert champion.md5 == path_md5(layout.root / champion.model)
    aliases = registry._client.search_registered_models()[0].aliases
    assert {name: int(version) for name, version in aliases.items()} == {"challenger": 1, "champion": 1}
    assert registry.champion_benchmark().problems == 2


def test_repeating_a_promotion_changes_nothing_even_when_its_record_is_lost(layout, registry):
    night = trained(layout, registry, "first", "one")
    first = promote(layout, night, registry)
    assert promote(layout, night, registry) == first
    layout.decision("first").unlink()
    assert promote(layout, night, registry).version == first.version
    layout.decision("first").write_text("{")
    assert promote(layout, night, registry).version == first.version


def test_the_next_night_starts_from_the_champion_and_is_promoted_by_its_own_comparison(layout, registry):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    night = trained(layout, registry, "second", "two")
    assert night.champion.night == "first"
    assert promote(layout, night, registry).decision.promote  # the tiny benchmark gains beyond its noise
    assert registry.champion().night == "second"
    assert len(list(layout.models.iterdir())) == 2


def test_the_champion_before_comes_back_by_one_command(layout, registry, capsys):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    assert main(["rollback", "models:/warpsmith-cpu"]) == 2
    assert "no champion is known before version 1" in capsys.readouterr().err
    night = trained(layout, registry, "second", "two")
    promote(layout, night, registry)
    assert main(["rollback", "models:/warpsmith-cpu"]) == 0
    assert "version 1 of warpsmith-cpu is the champion again instead of version 2" in capsys.readouterr().out
    assert registry.champion().night == "first"
    layout.decision("second").unlink()  # the gate, asked again, does not undo what a person did
    again = promote(layout, night, registry)
    assert not again.decision.promote and "has rolled this model back" in again.decision.reason
    assert main(["rollback", "models:/warpsmith-cpu", "--to", "2"]) == 0
    assert registry.champion().night == "second"
    assert main(["rollback", "models:/warpsmith-cpu", "--to", "9"]) == 2
    assert "warpsmith-cpu has no version 9" in capsys.readouterr().err


def test_a_promotion_that_waits_is_carried_out_by_a_person(layout, registry, capsys):
    profile = layout.profile_file
    profile.write_text(profile.read_text() + "gate: {approval: true}\n")
    night = trained(layout, registry, "first", "one")
    promotion = promote(layout, night, registry)
    assert promotion.decision.awaits_approval and registry.champion() is None
    assert main(["approve", "models:/warpsmith-cpu/1"]) == 0
    assert registry.champion().night == "first"
    assert main(["approve", "models:/warpsmith-cpu/1"]) == 2
    assert "version 1 of warpsmith-cpu waits for nobody's approval" in capsys.readouterr().err


def test_another_model_of_the_same_quality_is_a_challenger_only(layout, registry):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    promotion = promote(layout, trained(layout, registry, "first", "other"), registry)
    assert not promotion.decision.promote and promotion.version == "2"
    assert registry.champion().md5 != path_md5(layout.stage(Stage.EXPORT) / "model")


def test_every_version_keeps_its_own_weights(layout, registry):
    for name, weights in (("first", "one"), ("second", "two")):
        promote(layout, trained(layout, registry, name, weights), registry)
    for version, weights in (("1", "one"), ("2", "two")):
        folder = model_folder(registry._tracking, f"models:/warpsmith-cpu/{version}")
        assert (folder / "w").read_text() == weights
    assert model_folder(registry._tracking, "models:/warpsmith-cpu@challenger") == folder


def test_weights_that_changed_are_brought_again_and_never_given(layout, registry, capsys):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    kept = layout.root / registry.champion().model
    (kept / "w").chmod(0o644)
    (kept / "w").write_text("tampered")
    assert (layout.root / registry.champion().model / "w").read_text() == "one"
    assert "is not what it was" in capsys.readouterr().out
    shutil.rmtree(".dvc/cache")
    (kept / "w").write_text("tampered")
    with pytest.raises(WarpsmithError, match=r"is neither in .* nor in DVC's cache or remote"):
        registry.champion()


def test_a_version_of_before_is_given_by_its_folder_if_it_is_what_was_registered(layout, registry):
    folder = layout.models / "first" / "0123" / "hf"
    folder.mkdir(parents=True)
    (folder / "w").write_text("one")
    tags = {NIGHT: "first", "warpsmith.md5": path_md5(folder), "warpsmith.folder": folder.as_posix()}
    registry._client.create_registered_model(registry.name)
    registry._client.create_model_version(registry.name, "elsewhere", tags=tags)
    registry._client.set_registered_model_alias(registry.name, "champion", "1")
    (folder / "w").write_text("another night's")
    with pytest.raises(WarpsmithError, match="is neither in"):
        registry.champion()
    (folder / "w").write_text("one")
    assert (layout.root / registry.champion().model / "w").read_text() == "one"


@pytest.fixture
def colleague(layout, tmp_path_factory):
    """Another clone, which shares DVC's remote and MLflow, and nothing else."""
    root = tmp_path_factory.mktemp("colleague")
    shutil.copytree(
        layout.root, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("artifacts", "cache")
    )
    (root / "artifacts").mkdir()
    remote = (layout.root / "artifacts" / "dvc-remote").resolve()
    config = (root / ".dvc" / "config").read_text().replace("../artifacts/dvc-remote", str(remote))
    (root / ".dvc" / "config").write_text(config)
    return root


def test_the_champion_is_restored_on_another_machine(layout, registry, colleague, monkeypatch):
    promote(layout, trained(layout, registry, "first", "one"), registry)
    push_kept(layout)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry._tracking.client.uri)
    monkeypatch.chdir(colleague)
    theirs = Registry(Tracking(Layout(Path(), "cpu")))
    champion = theirs.champion()
    assert Path(champion.model, "w").read_text() == "one" and theirs.champion_benchmark().problems == 2


def push_kept(layout):
    """As `dvc push`, of the models alone: the tiny night has no lock file."""
    from dvc.repo import Repo

    with Repo() as repo:
        assert repo.push(targets=[str(file) for file in layout.models.glob("*/hf.dvc")])


def test_a_night_without_a_benchmark_has_nothing_to_promote(layout, registry):
    night = open_night(layout, "first", lambda: None)
    with pytest.raises(WarpsmithError, match="no benchmark yet"):
        promote(layout, night, registry)
