"""Kills a small night at random moments, many times, and compares what comes of it with an undisturbed one.

    python -m tests.benchmarks.bench_kills --kills 20 --seed 0

Every launch is a whole `make nightly` that gets SIGKILL after some time, drawn between nothing and what the
undisturbed night took, of which each launch does the rest. The last one runs to its end.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tests.flows.small_night import finish, kill, make_checkout, start

#: What two nights of one name must have in common: problems, both models, every sample, every judgement.
SAME = (
    (Stage.PREPARE, "problems.jsonl"),
    (Stage.PREPARE, "sft.jsonl"),
    (Stage.BASE, "hf"),
    (Stage.GRPO, "rollouts.jsonl"),
    (Stage.EXPORT, "start"),
    (Stage.EXPORT, "model"),
    (Stage.EVALUATE, "responses.jsonl"),
)


def bits(layout: Layout) -> dict[str, str]:
    """A hash of each thing that must be the same."""
    return {f"{stage}/{name}": path_md5(layout.stage(stage) / name) for stage, name in SAME}


def stage_of(layout: Layout) -> str:
    """The first stage that is not done."""
    return next((stage.value for stage in Stage if not layout.manifest(stage).exists()), "after the stages")


def kill_often(layout: Layout, log: Path, kills: int, longest_s: float, draw: random.Random) -> list[str]:
    """Launch and kill the night; the stages in which it died. A launch that ends by itself counts as none."""
    died: list[str] = []
    while len(died) < kills:
        night = start(layout, log)
        try:
            status = night.wait(draw.uniform(0, longest_s))
        except subprocess.TimeoutExpired:
            kill(layout, night)
            died.append(stage_of(layout))
            print(f"kill {len(died)} in {died[-1]}", flush=True)
        else:
            assert status == 0, log.read_text()[-4000:]
            print("it came to its end; the next launches find nothing to do", flush=True)
    return died


def main() -> int:
    """Print where the night was killed and whether the bits are the same; returns 1 if they are not."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        straight, killed = make_checkout(home / "straight"), make_checkout(home / "killed")
        begin = time.monotonic()
        finish(straight, home / "straight.log")
        longest = time.monotonic() - begin
        died = kill_often(killed, home / "killed.log", options.kills, longest, random.Random(options.seed))
        finish(killed, home / "killed.log")
        expected, found = bits(straight), bits(killed)
    different = [name for name, md5 in expected.items() if found[name] != md5]
    counts = {stage: died.count(stage) for stage in dict.fromkeys(died)}
    print(json.dumps({"kills": counts, "undisturbed_s": round(longest), "different": different}))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
