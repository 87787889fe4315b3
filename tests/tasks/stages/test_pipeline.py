"""dvc.yaml: the eight stages, what they depend on, and hashes that are DVC's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evaluation.errors import WarpsmithError
from tasks.disk.hashing import path_md5, settings_hash
from tasks.disk.layout import Layout, Stage
from tasks.night import Night
from tasks.profile import SECTIONS, load_profile, read_flags
from tasks.stages.pipeline import config_hash, dependencies, hash_inputs

ROOT = Path(__file__).parents[3]
LAYOUT = Layout(ROOT, "cpu")
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_the_stages_are_those_of_the_code_in_their_order():
    assert list(PIPELINE) == [stage.value for stage in Stage]


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_depends_only_on_what_earlier_stages_wrote(stage):
    written: set[str] = set()
    for earlier in list(Stage)[: list(Stage).index(stage)]:
        written |= {next(iter(out)) if isinstance(out, dict) else out for out in PIPELINE[earlier]["outs"]}
    data = {path for path in PIPELINE[stage]["deps"] if path.startswith("artifacts/")}
    assert data <= written


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_runs_its_own_command_and_writes_its_manifest(stage):
    entry = PIPELINE[stage]
    assert entry["cmd"].endswith(f"exec python -m tasks.stage {stage} --profile ${{profile}}")
    assert f"artifacts/${{profile}}/{stage}/manifest.json" in entry["outs"]


@pytest.mark.parametrize("stage", Stage)
def test_sections_and_night_parameters_exist(stage):
    needs = dependencies(LAYOUT, stage)
    assert set(needs.sections) <= set(SECTIONS)
    assert set(needs.night) <= set(Night.model_fields)


@pytest.mark.parametrize("stage", Stage)
def test_the_run_cache_can_restore_every_stage(stage):
    """DVC has none for a stage with an output that is persistent or not in the cache."""
    outs = [out for kind in ("outs", "metrics", "plots") for out in PIPELINE[stage].get(kind, ())]
    options = {name for out in outs if isinstance(out, dict) for given in out.values() for name in given}
    assert outs and not options & {"persist", "cache"}


@pytest.mark.parametrize("stage", Stage)
def test_dvc_watches_the_resolved_settings_and_no_profile(stage):
    files = {file for group in PIPELINE[stage].get("params", ()) for file in group}
    assert files <= {"artifacts/${profile}/night.yaml"}


def test_a_changed_grpo_setting_leaves_prepare_alone():
    profile = load_profile(LAYOUT)
    changed = profile.model_copy(update={"grpo": profile.grpo.model_copy(update={"steps": 1})})
    night = Night(name="n", champion=None)

    def hashed(stage, profile):
        return config_hash(profile, night, dependencies(LAYOUT, stage))

    assert hashed(Stage.PREPARE, profile) == hashed(Stage.PREPARE, changed)
    assert hashed(Stage.GRPO, profile) != hashed(Stage.GRPO, changed)


def test_a_setting_of_the_machine_leaves_every_stage_alone():
    night, changed = Night(name="n", champion=None), read_flags(LAYOUT, ["--evaluation-workers", "1"])[0]
    for stage in Stage:
        needs = dependencies(LAYOUT, stage)
        assert config_hash(changed, night, needs) == config_hash(load_profile(LAYOUT), night, needs)


def test_settings_hash_ignores_order():
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1}) != settings_hash({"a": 1})


def test_a_missing_input_says_which(tmp_path):
    with pytest.raises(WarpsmithError, match=r"missing\.txt is missing"):
        hash_inputs(Layout(tmp_path, "cpu"), ("missing.txt",))


def test_hashes_are_dvcs(tmp_path):
    """DVC's dvc.lock of a stage with a file and a folder names the hashes that manifests name."""
    for file in ("folder/b/x.txt", "folder/a.txt", "folder/a0.txt", "folder/__pycache__/a.pyc", "file.bin"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(f"{file}\r\n".encode())
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / ".dvcignore").write_text("__pycache__\n")
    (tmp_path / "dvc.yaml").write_text("stages: {s: {cmd: 'true', deps: [folder, file.bin]}}")
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=tmp_path, check=True)
    lock = yaml.safe_load((tmp_path / "dvc.lock").read_text())
    assert {dep["path"]: dep["md5"] for dep in lock["stages"]["s"]["deps"]} == {
        path: path_md5(tmp_path / path) for path in ("folder", "file.bin")
    }
