"""A whole small night through Prefect and DVC: killed in GRPO, taken up again, then asked for again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STAGES = ("prepare", "validate", "base", "convert", "sft", "grpo", "export", "evaluate")
SMALL = {
    "data": {
        "level1_per_operator": 1,
        "train": {"level2": 8, "level3": 0},
        "validation": {"level2": 2, "level3": 0},
        "heldout": {"level2": 2, "level3": 2},
        "sft_rows": 24,
    },
    "megatron": {"nproc_per_node": 1},
    "sft": {"steps": 2, "batch_size": 4, "save_every": 1},
    "grpo": {"steps": 3, "prompts_per_step": 2, "samples_per_prompt": 2, "save_every": 1},
    "rollout": {"max_new_tokens": 24},
    "benchmark": {"samples_per_problem": 1},
}
LIMIT_S = 1200


@pytest.fixture
def checkout(tmp_path):
    """A clean clone's files with a profile that takes minutes on a busy core."""
    folder = tmp_path / "checkout"
    for name in _git(ROOT, "ls-files").splitlines():
        if not name.startswith(("tests/", "docs/")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    profile = yaml.safe_load((folder / "infra/profiles/cpu.yaml").read_text())
    (folder / "infra/profiles/small.yaml").write_text(yaml.safe_dump(profile | SMALL))
    _git(folder, "init", "-q")
    _git(folder, "add", "-A")
    _git(folder, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "small")
    return folder


def _git(folder, *arguments):
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, text=True, stdout=subprocess.PIPE
    ).stdout


def _start(folder, log, *flags):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "flows.run", "nightly", "--profile", "small", *flags]
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)


def _finish(folder, log, *flags):
    status = _start(folder, log, *flags).wait(LIMIT_S)
    assert status == 0, log.read_text()[-4000:]


def _processes(folder):
    """Command lines that run in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def _wait(condition, what):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def _manifests(folder):
    return {stage: (folder / "artifacts/small" / stage / "manifest.json").read_bytes() for stage in STAGES}


@pytest.mark.slow
def test_a_killed_night_ends_as_asked_and_runs_nothing_twice(checkout, tmp_path):
    log = tmp_path / "log"
    metrics = checkout / "artifacts/small/grpo/metrics.jsonl"
    night = _start(checkout, log)
    _wait(lambda: night.poll() is not None or (metrics.exists() and metrics.read_text()), "no step of GRPO")
    assert night.poll() is None, log.read_text()[-4000:]
    night.send_signal(signal.SIGKILL)
    night.wait()
    _wait(lambda: not _processes(checkout), "processes stay behind")

    _finish(checkout, log)
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == [1, 2, 3]
    made = _manifests(checkout)

    _finish(checkout, log, "--evaluation-workers", "1")
    assert _manifests(checkout) == made
    assert _git(checkout, "status", "--porcelain") == ""
