"""One night of a GPU profile in three places: problems, training, record.

    python -m tests.benchmarks.learning_gpu prepare   # any machine: draw and verify the problems
    python -m tests.benchmarks.learning_gpu run       # the GPU machine: base ... evaluate
    python -m tests.benchmarks.learning_gpu record    # any machine: metrics into MLflow, curves into docs/

`python -m tasks.night --profile h200 --grpo-steps 5` before the first changes settings, as for a night.
Where everything is installed on one machine, `make nightly PROFILE=h200` does the same and more. This is for
a GPU machine that lacks Prefect, DVC and MLflow: it calls the same stage bodies in the same folders, without
what those three add around them, and what it wrote is carried to where MLflow is.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.report.summary import Benchmark
from tasks.disk.layout import Layout, Stage
from tasks.night import active_night, active_settings, open_night
from tasks.profile import load_profile
from tasks.stages.context import Context
from tasks.stages.forward import read_steps

if TYPE_CHECKING:
    from tasks.tracking.runs import Tracking

_ON_GPU = (Stage.BASE, Stage.CONVERT, Stage.SFT, Stage.GRPO, Stage.EXPORT, Stage.EVALUATE)
_RESULT = "metrics.json"
#: Metrics that are drawn; `kernels/fast_1` is a share of the correct kernels.
_CURVES = ("reward/mean", "kernels/correct", "kernels/fast_1", "train/entropy")


def prepare(layout: Layout) -> None:
    """The night's problems and verified kernels, judged on the CPU."""
    from data.prepare import prepare as draw
    from evaluation.settings import EvaluationSettings

    if not layout.night_file.is_file():
        open_night(layout, load_profile(layout).night, lambda: None)
    profile, night = active_settings(layout)
    out = layout.stage(Stage.PREPARE)
    out.mkdir(parents=True, exist_ok=True)
    print(draw(profile.data, EvaluationSettings(), night=night.name, out=out))


def run(layout: Layout) -> None:
    """Every stage that has not ended yet; each leaves its headline metrics in its folder."""
    from tasks.stages.steps import STEPS

    profile, night = active_settings(layout)
    for stage in _ON_GPU:
        context = Context(stage, layout, profile, night)
        result = context.out / _RESULT
        if result.exists():
            continue
        context.out.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        metrics = STEPS[stage](context)
        result.write_text(json.dumps(metrics, indent=2))
        print(f"[{stage}] {time.monotonic() - begin:.0f} s {metrics}", flush=True)


def record(layout: Layout, docs: Path) -> None:
    """Put what `run` left into MLflow, and export the curves from there to `docs`."""
    from tasks.tracking.runs import Tracking

    tracking = Tracking(layout)
    night = active_night(layout).name
    runs = {}
    for stage in (Stage.SFT, Stage.GRPO, Stage.EVALUATE):
        folder = layout.stage(stage)
        runs[stage] = tracking.stage_run(night, stage, "carried from the GPU machine")
        if stage is Stage.EVALUATE:
            heldout = Benchmark.model_validate_json((folder / "report.json").read_text()).metrics()
            tracking.log_metrics(runs[stage], heldout)
        else:
            tracking.log_steps(runs[stage], read_steps(folder / "metrics.jsonl"))
        for name in ("report.html", "report.json", "kernels"):
            tracking.log_path(runs[stage], folder / name)
        tracking.finish(runs[stage])
    steps = _export(tracking, runs[Stage.GRPO], docs / f"learning-{layout.profile}.csv")
    _draw(steps, heldout, docs / f"learning-{layout.profile}.png")


def _export(tracking: Tracking, run_id: str, path: Path) -> list[dict[str, float]]:
    """All metrics of an MLflow run as a table of one row per step."""
    client = tracking.client
    rows: dict[int, dict[str, float]] = {}
    for name in sorted(client.get_run(run_id).data.metrics):
        for point in client.get_metric_history(run_id, name):
            rows.setdefault(point.step, {"step": point.step})[name] = round(point.value, 6)
    names = ["step", *sorted({name for row in rows.values() for name in row} - {"step"})]
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows[step] for step in sorted(rows))
    return [rows[step] for step in sorted(rows)]


def _draw(steps: list[dict[str, float]], heldout: dict[str, float], path: Path) -> None:
    """The curves of training, and start against trained on the held-out problems."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4))
    for name in _CURVES:
        axis = axes[1] if name == "train/entropy" else axes[0]
        points = [(step["step"], step[name]) for step in steps if name in step]
        axis.plot(*zip(*points, strict=True), label=name)
    for axis in axes[:2]:
        axis.set_xlabel("GRPO step")
        axis.legend()
    for offset, (label, suffix) in enumerate((("after SFT", "_sft"), ("after GRPO", ""))):
        values = [100 * heldout[f"eval/heldout/{rate}{suffix}"] for rate in ("correct_rate", "fast_1")]
        bars = axes[2].bar([offset * 0.4, 1 + offset * 0.4], values, width=0.38, label=label)
        axes[2].bar_label(bars, fmt="%.1f")
    axes[2].set_xticks([0.2, 1.2], ["correct@1", "fast_1"])
    axes[2].set_ylabel("% of held-out samples")
    axes[2].set_ylim(0, 120)
    axes[2].legend(loc="upper center", ncols=2)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Parse the command line and run one of the three parts."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.learning_gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=("prepare", "run", "record"))
    parser.add_argument("--profile", default="h200")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    options = parser.parse_args()
    layout = Layout(Path(), options.profile)
    if options.part == "record":
        record(layout, options.docs)
    else:
        {"prepare": prepare, "run": run}[options.part](layout)


if __name__ == "__main__":
    main()
