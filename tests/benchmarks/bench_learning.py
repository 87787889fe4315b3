"""Does GRPO teach the tiny model anything? Three seeds of the `cpu` profile, and a control.

    python -m tests.benchmarks.bench_learning            # seeds 0, 1, 2 and the shuffled-reward control
    python -m tests.benchmarks.bench_learning --seeds 0 --no-control
    python -m tests.benchmarks.bench_learning --profile math-cpu    # of sums instead of kernels

Each seed is a night of its own in a copy of the checkout under build/learning/: other training
problems, other initial weights, another order of the data and other samples, the same held-out
problems. The control repeats the GRPO of the first seed from the same starting point with the
rewards permuted over each batch; whatever it gains is not learnt from execution. A folder that is
there already is continued, so an interrupted run loses nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("evaluation", "data", "training", "tasks", "infra")
FILES = ("dvc.yaml", "params.yaml", "pyproject.toml")
STAGES = ("prepare", "validate", "base", "convert", "sft", "grpo", "export", "evaluate")
COLUMNS = ("correct_rate_sft", "correct_rate", "gain", "gain_ci_low", "gain_ci_high")


def copy_checkout(target: Path, profile_name: str, changes: dict[str, Any]) -> None:
    """A copy of the rooms whose profile has other values for some settings."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, target / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, target / name)
    path = target / "infra" / "profiles" / f"{profile_name}.yaml"
    profile = yaml.safe_load(path.read_text())
    for section, values in changes.items():
        profile[section] = {**profile[section], **values} if isinstance(values, dict) else values
    path.write_text(yaml.safe_dump(profile))


def run_night(folder: Path, profile: str) -> dict[str, float]:
    """Run the stages that have no manifest yet; the metrics of the last one."""
    command = [sys.executable, "-m"]
    subprocess.run([*command, "tasks.night", "--profile", profile], cwd=folder, check=True)
    for stage in STAGES:
        manifest = folder / "artifacts" / profile / stage / "manifest.json"
        if not manifest.exists():
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(
                [*command, "tasks.stage", stage, "--profile", profile],
                cwd=folder,
                check=True,
                env=environment,
            )
    metrics: dict[str, float] = json.loads(manifest.read_text())["metrics"]
    return metrics


def run_seed(base: Path, profile: str, seed: int) -> dict[str, float]:
    """A night that shares nothing with the other seeds but the held-out problems."""
    folder = base / f"seed{seed}"
    if not folder.exists():
        changes = {name: {"seed": seed} for name in ("data", "model", "sft", "grpo")}
        samples = {"start_seed": 100 + seed, "trained_seed": 200 + seed}
        copy_checkout(folder, profile, changes | {"benchmark": samples})
    return run_night(folder, profile)


def run_control(base: Path, profile_name: str, seed: int) -> dict[str, float]:
    """The same night from SFT on, with rewards that say nothing."""
    folder = base / f"seed{seed}-shuffled"
    if not folder.exists():
        shutil.copytree(base / f"seed{seed}", folder)
        path = folder / "infra" / "profiles" / f"{profile_name}.yaml"
        profile = yaml.safe_load(path.read_text())
        profile["grpo"]["shuffle_rewards"] = True
        path.write_text(yaml.safe_dump(profile))
        for stage in ("grpo", "export", "evaluate"):
            shutil.rmtree(folder / "artifacts" / profile_name / stage)
    return run_night(folder, profile_name)


def row(name: str, metrics: dict[str, float], suffix: str = "") -> str:
    """One line of the table, in points."""
    keys = [column.replace("correct_rate", f"correct_rate{suffix}", 1) for column in COLUMNS[:2]]
    keys += [column.replace("gain", f"gain{suffix}", 1) for column in COLUMNS[2:]]
    start, after, gain, low, high = (100 * metrics[f"eval/heldout/{key}"] for key in keys)
    return f"| {name} | {start:.1f} | {after:.1f} | {gain:+.1f} [{low:+.1f}, {high:+.1f}] |"


def main() -> None:
    """Run what is missing and print the two tables of docs/measurements.md."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bench_learning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--profile", default="cpu", help="a profile for two cores")
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--folder", type=Path, help="by default build/learning, and a profile's name")
    options = parser.parse_args()
    profile = options.profile
    base = options.folder or ROOT / "build" / ("learning" if profile == "cpu" else f"learning-{profile}")
    results = {f"seed {seed}": run_seed(base, profile, seed) for seed in options.seeds}
    if not options.no_control:
        results["shuffled rewards"] = run_control(base, profile, options.seeds[0])
    of_kernels = "eval/heldout/unguarded" in next(iter(results.values()))
    titles = [("ragged sizes (the headline)" if of_kernels else "held-out questions", "")]
    for title, suffix in [*titles, *([("aligned sizes", "_aligned")] if of_kernels else [])]:
        print(
            f"\ncorrect@1 in %, {title}\n\n| | start | after GRPO | gain, points [95 %] |\n|---|---|---|---|"
        )
        print("\n".join(row(name, metrics, suffix) for name, metrics in results.items()))
    if not of_kernels:
        return
    print("\nshare of samples with an exact grid (unguarded), start -> after GRPO")
    for name, metrics in results.items():
        print(
            f"{name}: {metrics['eval/heldout/unguarded_sft']:.2f} -> {metrics['eval/heldout/unguarded']:.2f}"
        )


if __name__ == "__main__":
    main()
