"""Group-relative policy optimisation, under torchrun.

    torchrun --nproc-per-node N -m training.grpo --config JOB.json

Each step takes a rollout: prompts drawn, a group of responses to each sampled and judged (rollout/draw.py),
perhaps while the step before trained (asynchronous.py). It turns rewards into advantages and takes optimizer
steps (policy.py); then the engines get the new weights. Writes `metrics.jsonl`, `rollouts.jsonl` and
`checkpoints/` while it runs and `torch_dist/` at the end, in the job's `out_dir`. Killed or stopped at any
time and started again, it ends with the same weights, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from evaluation.problem import Problem
from evaluation.rows import read_rows
from training.checkpoint.torch_dist import HF_FOLDER, load_model
from training.launch.agreement import require_same_job
from training.launch.local import run_stoppable_worker
from training.launch.processes import is_main, process_groups
from training.launch.signals import StopRequest
from training.model.build import build_model
from training.model.tokenizer import load_tokenizer
from training.optimize.trainer import Trainer
from training.output import Run
from training.policy.asynchronous import RolloutQueue, in_one_thread
from training.policy.checks import prompt_room, require_validation
from training.policy.early_stop import EarlyStop, IdleSteps
from training.policy.health import (
    finite,
    progress_line,
    rollout_metrics,
    sample_record,
    time_metrics,
    update_metrics,
)
from training.policy.policy import Policy, Score
from training.policy.validation import BEST_BY, Validation
from training.preflight.machine import judging_gpus
from training.rollout.buffer import Sample
from training.rollout.draw import Rollouts
from training.rollout.engine import RolloutEngine
from training.rollout.open import check_engine, open_engine
from training.rollout.prompts import PromptCursor, PromptRow, fitting, read_prompts
from training.rollout.respond import Responder
from training.rollout.rewards.custom import check_functions
from training.rollout.rewards.open import open_reward
from training.rollout.rewards.rewards import RewardFunction
from training.rollout.rewards.timing import Seconds
from training.settings.architecture import Architecture, read_architecture
from training.settings.jobs import GrpoJob
from training.settings.optimization import GrpoSettings


def train(job: GrpoJob, stop: StopRequest | None = None) -> None:
    """Run the whole job on this rank, or until `stop` says so; collective."""
    every, settings, rollout = job.settings, job.settings.grpo, job.settings.rollout
    hf_dir = job.checkpoint / HF_FOLDER
    check_functions(rollout)
    check_engine(job.settings, hf_dir)
    architecture = read_architecture(hf_dir)
    tokenizer = load_tokenizer(hf_dir, job.settings.model.chat_template_kwargs)
    room = prompt_room(job, architecture)
    rows, too_long = fitting(read_prompts(job.prompts), tokenizer, room)
    validation_rows = _validation_rows(job, tokenizer, architecture)
    cursor = PromptCursor(len(rows), settings.seed)
    updates = settings.steps * settings.minibatches
    trainer = Trainer(architecture, job.settings.megatron, settings, updates)
    run = Run(
        job,
        settings,
        trainer,
        cursor,
        relevant=[settings, rollout, every.sglang, every.megatron, every.model, job.evaluation],
        inputs=[job.prompts, job.problems, *([job.validation] if job.validation and validation_rows else [])],
        stop=stop,
    )
    if is_main():
        print(f"grpo: {len(rows)} prompts ({too_long} too long), from step {run.step}", flush=True)
    policy = Policy(trainer, settings, rollout, _reference(job, trainer))
    logs = job.out_dir / "engine"
    with (
        open_engine(job.settings, hf_dir, load_weights=False, log_dir=logs) as engine,
        _open_reward(job) as reward,
    ):
        engine.update_weights(policy.weights(), run.step)
        responder = Responder(tokenizer, engine, reward, settings, rollout)
        rollouts = Rollouts(rows, cursor, responder, settings, rollout)
        validation = Validation(validation_rows, responder, settings)
        with closing(RolloutQueue(rollouts, settings)) as queue:
            _Loop(run, queue, policy, engine, validation, settings).run_all()
    run.finish()


class _Loop:
    """The steps of a run, from where it was resumed."""

    def __init__(
        self,
        run: Run,
        queue: RolloutQueue,
        policy: Policy,
        engine: RolloutEngine,
        validation: Validation,
        settings: GrpoSettings,
    ) -> None:
        self._run, self._queue, self._policy, self._engine = run, queue, policy, engine
        self._validation, self._settings = validation, settings
        self._early_stop, self._idle_steps = EarlyStop(settings), IdleSteps()

    def run_all(self) -> None:
        """Train to the last step.

        Raises:
            Requeue: someone wanted the run to stop.
            WarpsmithError: the policy has collapsed.
        """
        history = self._run.history()
        self._early_stop.recall(history)
        self._idle_steps.recall(history)
        if self._run.ahead:
            self._queue.restore(self._run.ahead)
        while self._run.step < self._settings.steps:
            self._step()

    def _step(self) -> None:
        """One rollout, its optimizer steps, the new weights for the engine, and what is due after a step."""
        run, start = self._run, time.perf_counter()
        collection, seconds = self._queue.take(run.step)
        metrics = rollout_metrics(collection, run.step)
        metrics |= self._train(collection.samples, start, seconds, metrics)
        evaluated = self._validation.is_due(run.step + 1)
        if evaluated:
            self._queue.finish_all()
            metrics |= self._validation.metrics()
        warning = self._idle_steps.check(metrics)
        if is_main():
            print(progress_line(run.step + 1, self._settings.steps, metrics), flush=True)
        if is_main() and warning:
            print(warning, flush=True)
        drawn = (sample for group in collection.drawn for sample in group.samples)
        judged_by = BEST_BY if evaluated else None
        records = map(sample_record, drawn)
        run.finish_step(finite(metrics), records, judged_by=judged_by, ahead=self._queue.state)
        self._early_stop.check(run.step, metrics, run.best, run.folder)

    def _train(
        self, samples: Sequence[Sample], start: float, seconds: Seconds, metrics: Mapping[str, float]
    ) -> dict[str, float]:
        """Update the policy and then the engine's weights; the metrics of both, and the step's times."""
        alternates = self._settings.lag == 0  # otherwise the engine works while this trains
        if alternates:
            self._engine.release()
        begun = time.perf_counter()
        updated = update_metrics(self._policy.update(samples, self._run.step))
        trained = time.perf_counter()
        with self._queue.weights_change():
            free = time.perf_counter()
            if alternates:
                self._engine.resume()
            self._engine.update_weights(self._policy.weights(), self._run.step + 1)
            synced = time.perf_counter()
        times = time_metrics(seconds, trained - begun, synced - free, synced - start, {**metrics, **updated})
        return {**updated, **times, **self._policy.speed(updated, trained - begun)}


def _validation_rows(
    job: GrpoJob, tokenizer: PreTrainedTokenizerBase, architecture: Architecture
) -> list[PromptRow]:
    """The prompts to evaluate on, if that is wanted."""
    require_validation(job)
    if job.settings.grpo.eval_interval is None or job.validation is None:
        return []
    room = prompt_room(job, architecture, evaluates=True)
    return fitting(read_prompts(job.validation), tokenizer, room)[0]


def _reference(job: GrpoJob, trainer: Trainer) -> Score | None:
    """How the starting policy scores, if the divergence from it is in the loss or watched."""
    if not job.settings.grpo.measures_divergence:
        return None
    if trainer.has_adapters:
        return trainer.base_logprobs
    dtype = next(trainer.model.parameters()).dtype
    model = build_model(trainer.architecture, job.settings.megatron, dtype)
    load_model(model, job.checkpoint)
    model.eval()
    return partial(trainer.logprobs, model=model)


@contextmanager
def _open_reward(job: GrpoJob) -> Iterator[RewardFunction | None]:
    """The reward function on rank 0, none elsewhere."""
    grpo, rollout = job.settings.grpo, job.settings.rollout
    if not is_main():
        yield None
        return
    opened = open_reward(
        rollout.reward_function,
        problems={problem.id: problem for problem in read_rows(Problem, job.problems)},
        settings=job.evaluation.model_copy(update={"devices": judging_gpus(job.settings, job.evaluation)}),
        seed=_secret(grpo.seed, job.problems),
    )
    with in_one_thread(opened) if grpo.asynchronous else opened as reward:
        yield reward


def _secret(seed: int, problems: Path) -> int:
    """The seed of the inputs that kernels are judged on: it follows from the night's own problems.

    So a night can be repeated, and no model can have learned the answers of another.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/".encode() + problems.read_bytes()).digest()[:6], "big")


def main(stop: StopRequest) -> None:
    """Read the job that `--config` names and run it until `stop` says so."""
    parser = argparse.ArgumentParser(prog="python -m training.grpo")
    parser.add_argument("--config", type=Path, required=True, metavar="JOB.json")
    job = GrpoJob.model_validate_json(parser.parse_args().config.read_text())
    with process_groups(job.settings.megatron, job.settings.grpo.seed):
        require_same_job(job)
        train(job, stop)


if __name__ == "__main__":
    run_stoppable_worker(main)
