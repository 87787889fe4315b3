"""Ends a run whose policy has collapsed, before it spends the rest of the night on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.checkpoint.snapshots import Best
from training.settings.optimization import GrpoSettings

#: Steps in a row without an update that are worth a warning.
_IDLE_STEPS = 3


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that a logged metric should keep."""

    metric: str
    setting: str
    limit: float
    above: bool
    """Whether larger values break it; otherwise smaller ones do."""

    def broken_by(self, value: float) -> bool:
        """Whether a value breaks it, as one that is no finite number always does."""
        return not isfinite(value) or (value > self.limit if self.above else value < self.limit)


class EarlyStop:
    """Counts the steps in a row that break each bound.

    A step without the metric, such as one without an update, neither breaks a bound nor keeps it.
    """

    def __init__(self, settings: GrpoSettings) -> None:
        self._patience = settings.stop_patience
        self._broken = dict.fromkeys(_bounds(settings), 0)

    def recall(self, history: Iterable[Mapping[str, float]]) -> None:
        """Count the steps before a resume, in their order."""
        for metrics in history:
            self._count(metrics)

    def check(self, step: int, metrics: Mapping[str, float], best: Best | None, folder: Path) -> None:
        """Count a step.

        Args:
            step: number of steps done.
            metrics: what the step logged.
            best: the best checkpoint so far, to be named.
            folder: where snapshots lie.

        Raises:
            WarpsmithError: naming metric, value and bound, if one was broken `stop_patience` times in a row.
        """
        self._count(metrics)
        for bound, times in self._broken.items():
            if times >= self._patience and bound.metric in metrics:
                raise WarpsmithError(
                    f"training was stopped at step {step}: {bound.metric} {metrics[bound.metric]:.4g} is "
                    f"{'above' if bound.above else 'below'} grpo.{bound.setting} {bound.limit:g} for {times} "
                    f"steps in a row; {_advice(best, folder)}"
                )

    def _count(self, metrics: Mapping[str, float]) -> None:
        for bound, times in self._broken.items():
            if bound.metric in metrics:
                self._broken[bound] = times + 1 if bound.broken_by(metrics[bound.metric]) else 0


class IdleSteps:
    """Counts the steps in a row without an update, which a run may go through unnoticed."""

    def __init__(self) -> None:
        self._count = 0

    def recall(self, history: Iterable[Mapping[str, float]]) -> None:
        """Count the steps before a resume, in their order."""
        for metrics in history:
            self.check(metrics)

    def check(self, metrics: Mapping[str, float]) -> str | None:
        """Count a step; what to print at the third in a row without an update, the sixth, the 12th..."""
        self._count = 0 if metrics.get("train/updates", 1.0) else self._count + 1
        thirds, rest = divmod(self._count, _IDLE_STEPS)
        if rest or thirds.bit_count() != 1:
            return None
        return (
            f"warning: nothing was learnt in the last {self._count} steps, because the rewards within each "
            "group were all equal; try easier or harder prompts, more samples per prompt, or "
            "rollout.filter_function `spread` with grpo.sampling_rounds above 1"
        )


def _bounds(settings: GrpoSettings) -> list[Bound]:
    """Those that the settings give a limit for."""
    metrics = {
        "stop_kl_above": "train/kl",
        "stop_entropy_below": "train/entropy",
        "stop_entropy_above": "train/entropy",
        "stop_reward_below": "reward/mean",
    }
    return [
        Bound(metric, setting, limit, above=setting.endswith("above"))
        for setting, metric in metrics.items()
        if (limit := getattr(settings, setting)) is not None
    ]


def _advice(best: Best | None, folder: Path) -> str:
    if best is None:
        return f"lower grpo.lr or move the bound; the last checkpoints are in {folder}"
    return (
        f"lower grpo.lr or move the bound; the best checkpoint ({best.metric} {best.value:.4g} at step "
        f"{best.step}) is {folder / best.folder}"
    )
