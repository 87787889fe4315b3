"""Stage bodies that write the files of the real ones in milliseconds, in place of tasks/stages/steps.py.

What they write depends on the night, the champion and the profile as the real ones' outputs do.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable

from evaluation.report.estimators import Interval
from evaluation.report.summary import Benchmark, Rates
from tasks.disk.layout import Stage


def prepare(context):
    (context.out / "prompts").mkdir()
    for name in ("outputs.csv", "problems.jsonl", "sft.jsonl", "quarantine.jsonl", "prompts/train.jsonl"):
        (context.out / name).write_text(f"{name} of {context.night.name}, seed {context.profile.data.seed}\n")
    (context.out / "summary.json").write_text("{}\n")
    return {"data/problems": 2.0}


def validate(context):
    (context.out / "docs").mkdir()
    (context.out / "docs" / "index.html").write_text("<p>fine</p>")
    outcomes = [{"name": "unique_ids", "success": True}, {"name": "few_zeros", "success": False}]
    (context.out / "result.json").write_text(json.dumps(outcomes))
    return {"data/expectations": 1.0}


def base(context):
    (context.out / "hf").mkdir()
    champion = context.night.champion
    text = (context.layout.root / champion.model / "w").read_text() if champion else "base"
    (context.out / "hf" / "w").write_text(text)
    config = {"model_type": "qwen3", "dtype": "float32", **context.profile.model.model_dump()}
    (context.out / "hf" / "config.json").write_text(json.dumps(config))
    return {}


def convert(context):
    shutil.copytree(context.output_of(Stage.BASE) / "hf", context.out / "torch_dist")
    return {}


def sft(context):
    return _train(context, Stage.CONVERT, 2)


def grpo(context):
    metrics = _train(context, Stage.SFT, context.profile.grpo.steps)
    (context.out / "rollouts.jsonl").write_text("")
    return metrics


def export(context):
    shutil.copytree(context.output_of(Stage.SFT) / "torch_dist", context.out / "start")
    shutil.copytree(context.output_of(Stage.GRPO) / "torch_dist", context.out / "model")
    return {}


def evaluate(context):
    rates = {"samples": 4, "correct_aligned": 0.5, "pass_at_k": {1: 0.5}, "unguarded": 0.1, "statuses": {}}
    gain = Interval(mean=0.5, low=0.4, high=0.6)
    benchmark = Benchmark(
        problems=2,
        samples_per_problem=2,
        start=Rates(**rates, correct=0.0, by_group={}),
        trained=Rates(**rates, correct=0.5, by_group={}),
        gain=gain,
        gain_aligned=gain,
        per_problem={"a": 0.5, "b": 0.5},
    )
    (context.out / "report.json").write_text(benchmark.model_dump_json())
    (context.out / "report.html").write_text("<p>report</p>")
    (context.out / "responses.jsonl").write_text("")
    (context.out / "kernels").mkdir()
    (context.out / "kernels" / "a.md").write_text("kernel")
    return benchmark.metrics()


def _train(context, source, steps):
    """Append one line a step, a checkpoint each; `WARPSMITH_TEST_SLEEP` makes a step last."""
    checkpoints = context.work / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    for step in range(len(list(checkpoints.iterdir())), steps):
        time.sleep(float(os.environ.get("WARPSMITH_TEST_SLEEP", "0")))
        with (context.work / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "train/loss": 1.0 / (step + 1)}) + "\n")
        (checkpoints / f"step_{step:06}").mkdir()
    target = context.out / "torch_dist"
    shutil.copytree(context.output_of(source) / "torch_dist", target)
    shutil.copy(context.work / "metrics.jsonl", context.out / "metrics.jsonl")
    curve = [f"{step},{1.0 / (step + 1)},{step / 10}" for step in range(steps)]
    (context.out / "curve.csv").write_text("\n".join(["step,train/loss,reward/mean", *curve]) + "\n")
    (target / "w").write_text(f"{(target / 'w').read_text()} {context.stage}{steps} {context.night.name}")
    return {"train/loss": 1.0 / steps}


Metrics = dict
Step = Callable

STEPS = {
    Stage.PREPARE: prepare,
    Stage.VALIDATE: validate,
    Stage.BASE: base,
    Stage.CONVERT: convert,
    Stage.SFT: sft,
    Stage.GRPO: grpo,
    Stage.EXPORT: export,
    Stage.EVALUATE: evaluate,
}
