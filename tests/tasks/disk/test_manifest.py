"""Manifests: what is in them, and that there is never half of one."""

from __future__ import annotations

import json
import os

import pytest

from evaluation.errors import WarpsmithError
from tasks.disk.files import write_atomically
from tasks.disk.manifest import Manifest, code_revision

MANIFEST = Manifest(
    stage="sft",
    profile="cpu",
    inputs={"data": "a.dir"},
    config_hash="c",
    code_revision="r",
    mlflow_run_id="m",
    seconds=1.5,
    metrics={"train/loss": 0.5},
)


def test_the_fields_are_those_of_the_design(tmp_path):
    MANIFEST.write(tmp_path / "manifest.json")
    assert set(json.loads((tmp_path / "manifest.json").read_text())) == {
        "stage", "profile", "inputs", "config_hash", "code_revision", "mlflow_run_id", "seconds", "metrics",
    }  # fmt: skip
    assert Manifest.read(tmp_path / "manifest.json") == MANIFEST


def test_a_missing_manifest_says_what_to_run(tmp_path):
    with pytest.raises(WarpsmithError, match="make nightly"):
        Manifest.read(tmp_path / "manifest.json")


def test_a_broken_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(WarpsmithError, match="is not a manifest"):
        Manifest.read(tmp_path / "manifest.json")


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"


def test_code_revision_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_revision(tmp_path) == "unknown"
