"""What all tests share: no telemetry, and a checkout of its own for a test that runs stages."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("evaluation", "data", "training", "tasks", "flows")
FILES = ("dvc.yaml", "params.yaml", "prefect.yaml", ".dvcignore", ".dvc/config", "infra/profiles/cpu.yaml")

#: Prefect's state of all tests, set before anything imports Prefect: never the user's, nor the checkout's.
PREFECT_HOME = tempfile.TemporaryDirectory(prefix="warpsmith-prefect-")

os.environ.update(
    DO_NOT_TRACK="1",
    DVC_NO_ANALYTICS="1",
    GX_ANALYTICS_ENABLED="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    OMP_NUM_THREADS="1",
    PREFECT_HOME=PREFECT_HOME.name,
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Give one worker of pytest-xdist all tests of a group; groups with slow tests come first."""
    groups = {item: _group(item) for item in items}
    slow = {groups[item] for item in items if item.get_closest_marker("slow")}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group), append=False)
    items.sort(key=lambda item: groups[item] not in slow)


def _group(item) -> str:
    """What a test shares with others: a device, a server that takes long to start, or its file's fixtures."""
    for device in ("gpu", "sglang"):
        if item.get_closest_marker(device):
            return device
    if "prefect_server" in item.fixturenames:
        return "prefect"
    named = item.get_closest_marker("xdist_group")
    return named.args[0] if named else f"{item.path.parent.name}/{item.path.stem}"


@pytest.fixture(scope="session")
def confined():
    """The pool of reference programs that all tests share: starting one takes seconds."""
    from evaluation.reference.pool import ReferencePool

    with ReferencePool() as pool:
        yield pool


@pytest.fixture
def one_reference(monkeypatch, confined):
    """Whoever opens a pool of reference programs gets the shared one."""

    class Lent:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def close(self):
            pass

        def __getattr__(self, name):
            return getattr(confined, name)

    for module in ("evaluation.reference.pool", "evaluation.pool"):
        monkeypatch.setattr(f"{module}.ReferencePool", Lent)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """An MLflow database without runs: making one takes seconds, so tests get copies."""
    from tasks.tracking.client import preload

    preload()
    from mlflow import MlflowClient

    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def checkout(tmp_path, monkeypatch, empty_database):
    """A checkout with the real rooms and dvc.yaml, but stage bodies that take milliseconds.

    Its path; it is the working folder too.
    """
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copy(ROOT / "tests" / "tasks" / "tiny_steps.py", tmp_path / "tasks" / "stages" / "steps.py")
    (tmp_path / "artifacts").mkdir()
    shutil.copy(empty_database, tmp_path / "artifacts" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path
