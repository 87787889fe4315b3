"""Group-relative policy optimisation, under torchrun.

    torchrun --nproc-per-node N -m training.grpo --config JOB.json

Each step draws prompts, samples a group of responses to each and judges them (rollout/draw.py), turns rewards
into advantages and takes optimizer steps (policy.py); then the engines get the new weights. Writes
`metrics.jsonl`, `rollouts.jsonl` and `checkpoints/` while it runs and `torch_dist/` at the end, in the job's
`out_dir`. Killed at any time and started again, it ends with the same weights, bit for bit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from megatron.core.models.gpt import GPTModel

from evaluation.errors import WarpsmithError
from evaluation.problem import Problem
from evaluation.rows import read_rows
from training.architecture import Architecture, read_architecture
from training.config import Engine, GrpoJob, RolloutSettings
from training.health import (
    progress_line,
    rollout_metrics,
    sample_record,
    time_metrics,
    update_metrics,
)
from training.launch import run_worker
from training.model import build_model
from training.policy import Policy
from training.processes import is_main, process_groups
from training.rollout.draw import Rollouts
from training.rollout.engine import RolloutEngine
from training.rollout.local import LocalEngine
from training.rollout.prompts import PromptCursor, read_prompts
from training.rollout.rewards import RewardFunction, open_reward
from training.run import Run
from training.tokenizer import load_tokenizer
from training.torch_dist import HF_FOLDER, load_model
from training.trainer import Trainer
from training.weights import hf_weights


def train(job: GrpoJob) -> None:
    """Run the whole job on this rank; collective."""
    settings, rollout = job.settings.grpo, job.settings.rollout
    hf_dir = job.checkpoint / HF_FOLDER
    architecture = read_architecture(hf_dir)
    rows = read_prompts(job.prompts)
    cursor = PromptCursor(len(rows), settings.seed)
    trainer = Trainer(architecture, job.settings.megatron, settings, settings.steps * settings.minibatches)
    run = Run(
        job,
        settings,
        trainer,
        cursor,
        relevant=[settings, rollout, job.settings.megatron, job.evaluation],
        inputs=[job.prompts, job.problems],
    )
    if is_main():
        print(f"grpo: {len(rows)} prompts, from step {run.step}", flush=True)
    policy = Policy(trainer, settings, rollout, _reference(job, trainer))
    with _engine(architecture, rollout) as engine, _open_reward(job) as reward:
        engine.update_weights(hf_weights(trainer.model, architecture), run.step)
        tokenizer = load_tokenizer(hf_dir)
        rollouts = Rollouts(rows, cursor, tokenizer, engine, reward, settings, rollout)
        while run.step < settings.steps:
            _step(run, rollouts, policy, engine)
    run.finish()


def _step(run: Run, rollouts: Rollouts, policy: Policy, engine: RolloutEngine) -> None:
    """One rollout, its optimizer steps, and the new weights for the engine."""
    collection, seconds = rollouts.collect(run.step)
    metrics = rollout_metrics(collection, run.step)
    engine.release()
    start = time.perf_counter()
    metrics |= update_metrics(policy.update(collection.samples, run.step))
    trained = time.perf_counter()
    engine.resume()
    engine.update_weights(policy.weights(), run.step + 1)
    synced = time.perf_counter()
    metrics |= time_metrics(seconds, trained - start, synced - trained, int(metrics["rollout/samples"]))
    drawn = (sample for group in collection.drawn for sample in group.samples)
    run.finish_step(metrics, map(sample_record, drawn))
    if is_main():
        print(progress_line(run.step, policy.settings.steps, metrics), flush=True)


def _reference(job: GrpoJob, trainer: Trainer) -> GPTModel | None:
    """The starting policy, if the loss has a KL term."""
    if job.settings.grpo.kl_coefficient == 0:
        return None
    dtype = next(trainer.model.parameters()).dtype
    model = build_model(trainer.architecture, job.settings.megatron, dtype)
    load_model(model, job.checkpoint)
    return model.eval()


@contextmanager
def _engine(architecture: Architecture, rollout: RolloutSettings) -> Iterator[RolloutEngine]:
    """This rank's engine, without weights."""
    if rollout.engine is not Engine.LOCAL:
        raise WarpsmithError(f"rollout.engine {rollout.engine} cannot be driven yet; use {Engine.LOCAL}")
    engine = LocalEngine(architecture, batch_size=rollout.batch_size)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _open_reward(job: GrpoJob) -> Iterator[RewardFunction | None]:
    """The reward function on rank 0, none elsewhere."""
    grpo, rollout = job.settings.grpo, job.settings.rollout
    with (
        open_reward(
            rollout.reward_function,
            problems={problem.id: problem for problem in read_rows(Problem, job.problems)},
            settings=job.evaluation,
            seed=grpo.seed,
        )
        if is_main()
        else nullcontext()
    ) as reward:
        yield reward


def main() -> None:
    """Read the job that `--config` names and run it."""
    parser = argparse.ArgumentParser(prog="python -m training.grpo")
    parser.add_argument("--config", type=Path, required=True, metavar="JOB.json")
    job = GrpoJob.model_validate_json(parser.parse_args().config.read_text())
    with process_groups(job.settings.megatron, job.settings.grpo.seed):
        train(job)


if __name__ == "__main__":
    run_worker(main)
