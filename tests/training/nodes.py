"""Runs of `python -m training` on one node or on several that are all this machine, for tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.training.night import SHAPE, base_checkpoint, conversations, write_rows
from training.command import SECTIONS
from training.launch.ports import free_port

ROOT = Path(__file__).parents[2]
SFT = {"steps": 4, "batch_size": 8, "micro_batch_size": 8, "lr": 5e-3, "save_every": 2, "warmup_steps": 1}
GRPO = {
    "steps": 3,
    "prompts_per_step": 4,
    "samples_per_prompt": 4,
    "minibatches": 2,
    "mismatch_tolerance": 1e-5,
    "lr": 1e-2,
    "save_every": 2,
    "micro_batch_size": 8,
}
ROLLOUT = {"max_new_tokens": 16, "reward_function": "tests.training.reward_for_tests:letter"}


def inputs(folder: Path) -> Path:
    """A base model, data for SFT and GRPO, and the profile `tiny.yaml`, in `folder`."""
    base_checkpoint(folder, SHAPE.model_copy(update={"num_key_value_heads": 2}))
    write_rows(folder / "sft.jsonl", conversations())
    rows = [{"prompt": row["messages"][:1], "label": f"p{i}"} for i, row in enumerate(conversations())]
    write_rows(folder / "prompts.jsonl", rows)
    write_rows(folder / "problems.jsonl", [])
    sections = {name: {} for name in SECTIONS} | {"sft": SFT, "grpo": GRPO, "rollout": ROLLOUT}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(sections))
    return folder


def command(kind: str, folder: Path, out_dir: Path, flags: Sequence[str] = ()) -> list[str]:
    """`python -m training` of what `inputs` wrote."""
    data = ["--rows", "sft.jsonl"] if kind == "sft" else ["--prompts", "prompts.jsonl"]
    data += [] if kind == "sft" else ["--problems", "problems.jsonl"]
    named = [str(folder / word) if word.endswith(".jsonl") else word for word in data]
    start = ["--profile", str(folder / "tiny.yaml"), "--checkpoint", str(folder / "torch_dist")]
    return [sys.executable, "-m", "training", kind, *start, *named, "--out-dir", str(out_dir), *flags]


def node_flags(count: int, address: str = "127.0.0.1") -> list[list[str]]:
    """What each of several nodes has besides."""
    port = str(free_port())
    first = ["--nnodes", str(count), "--master-addr", address, "--master-port", port]
    return [[*first, "--node-rank", str(number)] for number in range(count)]


def start(argv: Sequence[str], prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Begin a command in the checkout; its output can be read."""
    return subprocess.Popen(
        [*prefix, *argv], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit status and output of each, in their order."""
    ended = [(process.communicate()[0], process.returncode) for process in processes]
    return [(status, output) for output, status in ended]


def losses(out_dir: Path) -> list[float]:
    """The loss of every step."""
    rows = [json.loads(line) for line in (out_dir / "metrics.jsonl").read_text().splitlines()]
    return [row["train/loss"] for row in rows]
