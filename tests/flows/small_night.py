"""A small night in a checkout of its own, to be started, killed and started again."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tasks.disk.layout import Layout

ROOT = Path(__file__).parents[2]
#: What is smaller than in the profile `cpu`.
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


#: A night of questions, and one of both tasks.
QUESTIONS = {
    "data": {"task": "math", "sources": ["arithmetic:60"], "sft_rows": 24},
    "megatron": {"nproc_per_node": 1},
    "sft": {"steps": 2, "batch_size": 4, "save_every": 1},
    "grpo": {"steps": 2, "prompts_per_step": 2, "samples_per_prompt": 2, "eval_interval": 2},
    "benchmark": {"samples_per_problem": 2},
}
MIXED = SMALL | {
    "data": SMALL["data"] | {"task": "mixed", "sources": ["arithmetic:24"], "sft_rows": 12},
    "rollout": {"max_new_tokens": 24, "reward_function": "mixed"},
}


def make_checkout(folder: Path, base: str = "cpu", changed: dict[str, dict[str, Any]] = SMALL) -> Layout:
    """A clean clone's files with a profile `small` that takes minutes on a busy core."""
    for name in git(ROOT, "ls-files").splitlines():
        if not name.startswith(("tests/", "docs/")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    profile = yaml.safe_load((folder / "infra/profiles" / f"{base}.yaml").read_text())
    small = profile | {section: profile[section] | changes for section, changes in changed.items()}
    (folder / "infra/profiles/small.yaml").write_text(yaml.safe_dump(small))
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "small")
    return Layout(folder, "small")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, text=True, stdout=subprocess.PIPE
    ).stdout


def start(layout: Layout, log: Path, *flags: str) -> subprocess.Popen[bytes]:
    """`make nightly`, without waiting for it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= {"PYTHONPATH": str(layout.root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "flows.run", "nightly", "--profile", layout.profile, *flags]
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=layout.root, env=environment, stdout=file, stderr=file)


def finish(layout: Layout, log: Path, *flags: str) -> None:
    """The same, to its end."""
    status = start(layout, log, *flags).wait(LIMIT_S)
    assert status == 0, log.read_text()[-4000:]


def kill(layout: Layout, night: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and wait until no process of the night is left."""
    night.kill()
    night.wait()
    wait(lambda: not processes(layout.root), "processes stay behind")


def processes(folder: Path) -> list[str]:
    """Command lines that run in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def wait(condition, what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)
