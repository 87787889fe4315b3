"""What each stage does: one call into a lower room, which knows nothing of DVC, MLflow or manifests.

Every function takes the stage's `Context` and returns its headline metrics. Imports are late, so
that a stage starts with only what it needs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from tasks.context import Context
from tasks.forward import read_steps
from tasks.layout import Stage

Metrics = dict[str, float]
Step = Callable[[Context], Metrics]


def prepare(context: Context) -> Metrics:
    """Draw, judge and split the night's problems, and write verified kernels to learn from."""
    from data.prepare import prepare

    profile = context.profile
    return prepare(profile.data, profile.evaluation, night=context.night.name, out=context.out)


def validate(context: Context) -> Metrics:
    """Stop the night if the problem table breaks an expectation."""
    from data.expectations import validate

    return validate(context.output_of(Stage.PREPARE), context.out)


def base(context: Context) -> Metrics:
    """The checkpoint that training starts from: the champion's, or the profile's base model."""
    champion = context.night.champion
    if champion is not None:
        shutil.copytree(context.layout.root / champion.model, context.out / "hf")
        return {"base/warm_start": 1.0}
    from training.base import make_base

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
    """Supervised fine-tuning; a champion has had it, so a warm start passes its checkpoint through."""
    checkpoint = context.output_of(Stage.CONVERT) / "torch_dist"
    if context.night.champion is not None:
        shutil.copytree(checkpoint, context.out / "torch_dist", dirs_exist_ok=True)
        (context.out / "checkpoints").mkdir(exist_ok=True)
        (context.out / "metrics.jsonl").touch()
        return {"train/steps": 0.0}
    from training.config import SftJob
    from training.launch import run_job

    job = SftJob(
        settings=context.profile.training,
        checkpoint=checkpoint,
        rows=context.output_of(Stage.PREPARE) / "sft.jsonl",
        out_dir=context.out,
    )
    run_job("training.sft", job, context.out, context.profile.megatron.nproc_per_node)
    return _last_step(context)


def grpo(context: Context) -> Metrics:
    """Reinforcement learning: the reward is what the kernels do when they run."""
    from training.config import GrpoJob
    from training.launch import run_job

    prepared = context.output_of(Stage.PREPARE)
    job = GrpoJob(
        settings=context.profile.training,
        evaluation=context.profile.evaluation,
        checkpoint=context.output_of(Stage.SFT) / "torch_dist",
        prompts=prepared / "prompts" / "train.jsonl",
        problems=prepared / "problems.jsonl",
        validation=prepared / "prompts" / "validation.jsonl",
        out_dir=context.out,
    )
    run_job("training.grpo", job, context.out, context.profile.megatron.nproc_per_node)
    return _last_step(context)


def export(context: Context) -> Metrics:
    """torch_dist to Hugging Face, side by side, for the trained model and for what GRPO started from."""
    from training.checkpoint.commands import to_hf

    sources = [context.output_of(stage) / "torch_dist" for stage in (Stage.SFT, Stage.GRPO)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(to_hf, sources, [context.out / "start", context.out / "model"]))
    return {}


def evaluate(context: Context) -> Metrics:
    """Compare both models on the held-out problems and write the report."""
    from tasks.evaluate import evaluate

    return evaluate(context)


def _texts(rows: Path) -> Iterator[str]:
    """The prompts and answers of an SFT file: what a tokenizer is trained on."""
    with rows.open(encoding="utf-8") as file:
        for line in file:
            yield from (message["content"] for message in json.loads(line)["messages"])


def _last_step(context: Context) -> Metrics:
    """What training wrote last, under the names that it used."""
    rows = read_steps(context.out / "metrics.jsonl")
    if not rows:
        return {"train/steps": 0.0}
    return {name: float(value) for name, value in rows[-1].items() if name != "step"}


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
