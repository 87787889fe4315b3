"""What SFT and GRPO runs share: where to start, what to write after each step, and how to end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from training.checkpoint import torch_dist
from training.checkpoint.commands import copy_hf_files
from training.checkpoint.folders import ADAPTER, METRICS, OUTPUT, SAMPLES, SNAPSHOTS
from training.checkpoint.peft import write_peft
from training.checkpoint.snapshots import Best, Progress, Snapshots, fingerprint
from training.launch.local import Requeue
from training.launch.processes import is_main, spare_long_lived_objects
from training.launch.signals import StopRequest
from training.launch.steplog import StepLog
from training.model.lora import merge
from training.optimize.trainer import Trainer
from training.rollout.prompts import PromptCursor
from training.settings.jobs import GrpoJob, SftJob
from training.settings.optimization import OptimizationSettings


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
        stop: StopRequest | None = None,
    ) -> None:
        """Load this run's latest snapshot into `trainer` and `cursor`, or else the job's checkpoint.

        Args:
            job: where to start and where to write.
            settings: the stage's steps and how often to save.
            trainer: freshly built.
            cursor: at its beginning.
            relevant: the settings that the result depends on; with others, or with other contents of
                `inputs` or of the job's checkpoint, what the folder holds is set aside and not resumed.
            inputs: the files that the run reads.
            stop: whether someone wants the run to stop; none runs to the end.
        """
        self._job, self._settings = job, settings
        self._trainer, self._cursor, self._stop = trainer, cursor, stop
        job.out_dir.mkdir(parents=True, exist_ok=True)
        self._metrics = StepLog(job.out_dir / METRICS)
        self._samples = StepLog(job.out_dir / SAMPLES) if isinstance(job, GrpoJob) else None
        identity = fingerprint(relevant, [job.checkpoint, *inputs]) if is_main() else ""
        self._snapshots = Snapshots(
            self.folder, keep=settings.keep_checkpoints, fingerprint=identity, steps=settings.steps
        )
        if self._snapshots.former is not None:
            _move(job.out_dir, self._snapshots.former)
            _move(self.folder, job.out_dir)
        self.ahead = b""
        """What the snapshot holds of rollouts ahead of training."""
        self.step = self._first_step = self._start()
        self._truncate_logs()

    @property
    def folder(self) -> Path:
        """Where snapshots lie."""
        return self._job.out_dir / SNAPSHOTS

    @property
    def best(self) -> Best | None:
        """The best snapshot so far, if evaluation has found one."""
        return self._snapshots.best

    def history(self) -> list[dict[str, float]]:
        """What was logged of the steps so far, on all ranks; collective."""
        box = [self._metrics.rows() if is_main() else []]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def finish_step(
        self,
        metrics: Mapping[str, float],
        samples: Iterable[Mapping[str, Any]] = (),
        *,
        judged_by: str | None = None,
        ahead: Callable[[], bytes] = bytes,
    ) -> None:
        """Count a step, log it on the main rank, and save a snapshot when one is due.

        Args:
            metrics: for metrics.jsonl.
            samples: for rollouts.jsonl.
            judged_by: the metric by which this step may be the best so far, if it was evaluated.
            ahead: gives what was generated for later steps; asked only for a snapshot.

        Raises:
            Requeue: a snapshot is saved because someone wants the run to stop.
        """
        if self.step == self._first_step:
            spare_long_lived_objects()
        self.step += 1
        if is_main():
            self._metrics.append(self.step, [metrics])
            if self._samples is not None:
                self._samples.append(self.step, samples)
        is_best = judged_by is not None and (self.best is None or metrics[judged_by] > self.best.value)
        is_due = self.step % self._settings.save_every == 0 or self.step == self._settings.steps
        stops = self._stop is not None and self._stop.agreed()
        if is_best or is_due or stops:
            made = ahead()  # first: it moves the cursor
            progress = Progress(self.step, self._cursor.state_dict(), made)
            score = (judged_by, metrics[judged_by]) if judged_by is not None and is_best else None
            self._snapshots.save(self._trainer, progress, score)
        if stops:
            raise Requeue(
                f"training was asked to stop and did, after step {self.step}; start it again to go on"
            )

    def finish(self) -> None:
        """Write the final weights, with config and tokenizer, as `torch_dist/`.

        Adapters are written as PEFT's, as `torch_dist/adapter/`, and merged into the weights.
        What had that name before stays until all is written.
        """
        output = self._job.out_dir / OUTPUT
        unfinished, before = (output.with_name(f".{OUTPUT}.{state}") for state in ("unfinished", "before"))
        if is_main():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
        dist.barrier()
        try:
            if self._trainer.has_adapters:
                write_peft(self._trainer.model, self._trainer.architecture, self._job, unfinished / ADAPTER)
                merge(self._trainer.model)
            torch_dist.save_model(self._trainer.model, unfinished)
            if is_main():
                source = self._job.checkpoint / torch_dist.HF_FOLDER
                copy_hf_files(source, unfinished / torch_dist.HF_FOLDER)
        except (WarpsmithError, OSError):
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        dist.barrier()
        if is_main():
            _replace(output, unfinished, before)
        dist.barrier()

    def _start(self) -> int:
        """The step to go on from, with weights and cursor as they were after it."""
        if self._trainer.has_adapters:  # snapshots hold these alone
            torch_dist.load_model(self._trainer.model, self._job.checkpoint)
        progress = self._snapshots.restore(self._trainer)
        if progress is not None:
            self._cursor.load_state_dict(progress.cursor)
            self.ahead = progress.ahead
            return progress.step
        if not self._trainer.has_adapters:
            torch_dist.load_model(self._trainer.model, self._job.checkpoint)
        self._trainer.weights_changed()
        return 0

    def _truncate_logs(self) -> None:
        if is_main():
            self._metrics.truncate(self.step)
            if self._samples is not None:
                self._samples.truncate(self.step)
        dist.barrier()


def _move(source: Path, target: Path) -> None:
    """Move what a run leaves besides its snapshots, to those that are set aside or from there."""
    for name in (METRICS, SAMPLES, OUTPUT):
        if (source / name).exists():
            (source / name).rename(target / name)


def _replace(output: Path, unfinished: Path, before: Path) -> None:
    """Give `unfinished` the name `output`; what has it now is moved to `before` first and deleted last."""
    shutil.rmtree(before, ignore_errors=True)
    if output.exists():
        output.rename(before)
    unfinished.rename(output)
    shutil.rmtree(before, ignore_errors=True)
