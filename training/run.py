"""What SFT and GRPO runs share: where to start, what to write after each step, and how to end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist

from evaluation.problem import Frozen
from training import torch_dist
from training.checkpoint import copy_hf_files
from training.config import GrpoJob, OptimizationSettings, SftJob
from training.processes import is_main
from training.rollout.prompts import PromptCursor
from training.snapshots import Progress, Snapshots, fingerprint
from training.steplog import StepLog
from training.trainer import Trainer

_OUTPUT = "torch_dist"


class Run:
    """A run in its output folder, started or resumed. All methods are collective."""

    def __init__(
        self,
        job: SftJob | GrpoJob,
        settings: OptimizationSettings,
        trainer: Trainer,
        cursor: PromptCursor,
        *,
        relevant: Sequence[Frozen],
        inputs: Sequence[Path],
    ) -> None:
        """Load this run's latest snapshot into `trainer` and `cursor`, or else the job's checkpoint.

        Args:
            job: where to start and where to write.
            settings: the stage's steps and how often to save.
            trainer: freshly built.
            cursor: at its beginning.
            relevant: the settings that the result depends on; with others, or with other contents of
                `inputs` or of the job's checkpoint, a snapshot is not resumed.
            inputs: the files that the run reads.
        """
        self._job, self._settings = job, settings
        self._trainer, self._cursor = trainer, cursor
        job.out_dir.mkdir(parents=True, exist_ok=True)
        self._metrics = StepLog(job.out_dir / "metrics.jsonl")
        self._samples = StepLog(job.out_dir / "rollouts.jsonl") if isinstance(job, GrpoJob) else None
        identity = fingerprint(relevant, [job.checkpoint, *inputs]) if is_main() else ""
        self._snapshots = Snapshots(
            job.out_dir / "checkpoints", keep=settings.keep_checkpoints, fingerprint=identity
        )
        self.step = self._start()
        self._truncate_logs()

    def finish_step(self, metrics: Mapping[str, float], samples: Iterable[Mapping[str, Any]] = ()) -> None:
        """Count a step, log it on the main rank, and save a snapshot when one is due."""
        self.step += 1
        if is_main():
            self._metrics.append(self.step, [metrics])
            if self._samples is not None:
                self._samples.append(self.step, samples)
        if self.step % self._settings.save_every == 0 or self.step == self._settings.steps:
            self._snapshots.save(self._trainer, Progress(self.step, self._cursor.state_dict()))

    def finish(self) -> None:
        """Write the final weights, with config and tokenizer, as `torch_dist/`."""
        output = self._job.out_dir / _OUTPUT
        unfinished = output.with_name(f".{_OUTPUT}.unfinished")
        if is_main():
            shutil.rmtree(output, ignore_errors=True)
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
        dist.barrier()
        torch_dist.save_model(self._trainer.model, unfinished)
        if is_main():
            copy_hf_files(self._job.checkpoint / torch_dist.HF_FOLDER, unfinished / torch_dist.HF_FOLDER)
            unfinished.rename(output)
        dist.barrier()

    def _start(self) -> int:
        """The step to go on from, with weights and cursor as they were after it."""
        progress = self._snapshots.restore(self._trainer)
        if progress is not None:
            self._cursor.load_state_dict(progress.cursor)
            return progress.step
        torch_dist.load_model(self._trainer.model, self._job.checkpoint)
        self._trainer.weights_changed()
        return 0

    def _truncate_logs(self) -> None:
        if is_main():
            self._metrics.truncate(self.step)
            if self._samples is not None:
                self._samples.truncate(self.step)
        dist.barrier()
