"""What each stage does: one call into a lower room, which knows nothing of DVC, MLflow or manifests.

Every function takes the stage's `Context` and returns its headline metrics. Imports are late, so
that a stage starts with only what it needs.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasks.disk.layout import Stage
from tasks.stages.context import Context
from tasks.stages.forward import Row, read_steps
from training.checkpoint.folders import METRICS, OUTPUT, SAMPLES
from training.settings.launcher import LauncherKind

if TYPE_CHECKING:
    from training.settings.jobs import GrpoJob, SftJob

#: The table of a training stage that `dvc plots` draws.
CURVE = "curve.csv"

Metrics = dict[str, float]
Step = Callable[[Context], Metrics]


def prepare(context: Context) -> Metrics:
    """Draw, judge and split the night's problems, and write verified kernels to learn from."""
    from data.prepare import prepare

    profile = context.profile
    return prepare(profile.data, profile.evaluation, night=context.night.name, out=context.out)


def validate(context: Context) -> Metrics:
    """Stop the night if the problem table breaks an expectation."""
    from data.expectations.drift import PROFILE
    from data.expectations.gate import validate

    champion = context.night.champion
    before = None if champion is None else context.layout.training(champion.night, Stage.VALIDATE) / PROFILE
    metrics = validate(context.output_of(Stage.PREPARE), context.out, before)
    context.work.mkdir(parents=True, exist_ok=True)
    shutil.copy(context.out / PROFILE, context.work / PROFILE)
    return metrics


def base(context: Context) -> Metrics:
    """The checkpoint that training starts from: the champion's, or the profile's base model."""
    champion = context.night.champion
    if champion is not None:
        shutil.copytree(context.layout.root / champion.model, context.out / "hf")
        return {"base/warm_start": 1.0}
    from training.checkpoint.base import make_base

    settings = context.profile.model
    texts = _texts(context.output_of(Stage.PREPARE) / "sft.jsonl")
    metrics = make_base(settings, texts, context.out / "hf", settings.seed)
    return {**metrics, "base/warm_start": 0.0}


def convert(context: Context) -> Metrics:
    """Hugging Face to torch_dist."""
    from training.checkpoint.commands import to_megatron

    megatron = context.profile.megatron
    to_megatron(
        context.output_of(Stage.BASE) / "hf",
        context.out / "torch_dist",
        megatron.tensor_model_parallel_size,
        megatron.pipeline_model_parallel_size,
    )
    return {}


def sft(context: Context) -> Metrics:
    """Supervised fine-tuning; a champion has had it, so a warm start passes its checkpoint through.

    So does a night without steps, which may have nothing to learn from either.
    """
    checkpoint = context.output_of(Stage.CONVERT) / "torch_dist"
    if context.night.champion is not None or context.profile.sft.steps == 0:
        shutil.copytree(checkpoint, context.out / OUTPUT)
        (context.out / METRICS).touch()
        _write_curve([], context.out / CURVE)
        return {"train/steps": 0.0}
    from training.settings.jobs import SftJob

    job = SftJob(
        settings=context.profile.training,
        checkpoint=checkpoint,
        rows=context.output_of(Stage.PREPARE) / "sft.jsonl",
        out_dir=context.work,
    )
    return _train(context, job)


def grpo(context: Context) -> Metrics:
    """Reinforcement learning: the reward is what the kernels do when they run."""
    from training.settings.jobs import GrpoJob

    prepared = context.output_of(Stage.PREPARE)
    job = GrpoJob(
        settings=context.profile.training,
        evaluation=context.profile.evaluation,
        checkpoint=context.output_of(Stage.SFT) / "torch_dist",
        prompts=prepared / "prompts" / "train.jsonl",
        problems=prepared / "problems.jsonl",
        validation=prepared / "prompts" / f"{context.profile.grpo.eval_split}.jsonl",
        out_dir=context.work,
    )
    return _train(context, job)


def export(context: Context) -> Metrics:
    """torch_dist to Hugging Face, side by side, for the trained model and for what GRPO started from."""
    from training.checkpoint.commands import to_hf

    sources = [context.output_of(stage) / "torch_dist" for stage in (Stage.SFT, Stage.GRPO)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(to_hf, sources, [context.out / "start", context.out / "model"]))
    return {}


def evaluate(context: Context) -> Metrics:
    """Compare both models on the held-out problems and write the report."""
    from tasks.stages.evaluate import evaluate

    return evaluate(context)


def _texts(rows: Path) -> Iterator[str]:
    """The prompts and answers of an SFT file: what a tokenizer is trained on."""
    with rows.open(encoding="utf-8") as file:
        for line in file:
            yield from (message["content"] for message in json.loads(line)["messages"])


def _train(context: Context, job: SftJob | GrpoJob) -> Metrics:
    """Train in the working folder, and hand in what came of it; returns what was logged of the last step."""
    from training.launch.local import run_job
    from training.launch.slurm.run import run_slurm_job

    module, processes = f"training.{context.stage}", context.profile.megatron.nproc_per_node
    if context.profile.launcher.kind is LauncherKind.SLURM:
        run_slurm_job(module, job, context.work, processes, context.profile.launcher)
    else:
        run_job(module, job, context.work, processes)
    (context.work / OUTPUT).rename(context.out / OUTPUT)
    for name in (METRICS, SAMPLES):
        if (context.work / name).exists():
            shutil.copy(context.work / name, context.out / name)
    rows = read_steps(context.out / METRICS)
    _write_curve(rows, context.out / CURVE)
    if not rows:
        return {"train/steps": 0.0}
    return {name: float(value) for name, value in rows[-1].items() if name != "step"}


def _write_curve(rows: Sequence[Row], path: Path) -> None:
    """The metrics of every step as a table, which `dvc plots` can draw."""
    names = ["step", *sorted({name for row in rows for name in row} - {"step"})]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)


STEPS: Mapping[Stage, Step] = MappingProxyType(
    {
        Stage.PREPARE: prepare,
        Stage.VALIDATE: validate,
        Stage.BASE: base,
        Stage.CONVERT: convert,
        Stage.SFT: sft,
        Stage.GRPO: grpo,
        Stage.EXPORT: export,
        Stage.EVALUATE: evaluate,
    }
)
