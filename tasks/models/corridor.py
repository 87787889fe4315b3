"""Whether a night's metrics stay where those of earlier nights were: else its figures are not trusted.

Each watched metric has a corridor around the median of the trusted nights, as wide as they scatter (the
median absolute deviation) and never narrower than what is noise anyway. A night outside is not wrong, but
nobody should find its model promoted in the morning without having looked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.problem import Frozen
from tasks.models.gate_settings import GateSettings

#: From the median absolute deviation to the standard deviation of a normal distribution.
_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Watched:
    """One metric of a corridor."""

    noise: float
    """The least half width, in the metric's own unit."""
    relative: float = 0.0
    """The same as a share of the median."""
    below: bool = True
    """Whether too little is drift as well."""
    above: bool = True
    """Whether too much is."""


#: What is watched, `stage/metric` as MLflow has it on a night's run. Quality may rise without being suspect.
WATCHED: Mapping[str, Watched] = {
    "prepare/data/quarantined": Watched(noise=5, relative=0.5, below=False),
    "prepare/data/sft_rows": Watched(noise=5, relative=0.2),
    "sft/train/loss": Watched(noise=0.05, relative=0.3),
    "grpo/reward/mean": Watched(noise=0.15, above=False),
    "grpo/train/grad_norm": Watched(noise=1.0, relative=2.0, below=False),
    "grpo/train/kl": Watched(noise=0.05, relative=1.0, below=False),
    "grpo/rollout/truncated": Watched(noise=0.1, below=False),
    "grpo/rollout/response_length_mean": Watched(noise=10, relative=0.4),
    "grpo/kernels/not_judged": Watched(noise=0.02, below=False),
    "evaluate/eval/heldout/not_judged": Watched(noise=0.02, below=False),
    "evaluate/eval/heldout/cheated": Watched(noise=0.01, below=False),
    "evaluate/eval/heldout/correct_rate": Watched(noise=0.1, above=False),
    "evaluate/eval/heldout/correct_rate_aligned": Watched(noise=0.1, above=False),
    "evaluate/eval/heldout/fast_1": Watched(noise=0.1, above=False),
}


class Drift(Frozen):
    """A metric outside its corridor."""

    metric: str
    value: float
    low: float
    high: float
    nights: int
    """How many trusted nights the corridor is made of."""

    @property
    def sentence(self) -> str:
        """For a person."""
        corridor = f"[{self.low:.4g}, {self.high:.4g}] of {self.nights} trusted nights"
        return f"{self.metric} is {self.value:.4g}, outside {corridor}"


def drifts(
    metrics: Mapping[str, float], trusted: Sequence[Mapping[str, float]], settings: GateSettings
) -> tuple[Drift, ...]:
    """The metrics of a night that are outside their corridors.

    Args:
        metrics: the night's, named as in `WATCHED`; others are not looked at.
        trusted: the same of trusted nights. A metric that fewer than `trusted_nights` have has no corridor.
        settings: how many nights, how wide.
    """
    found = []
    for name, watched in WATCHED.items():
        before = [night[name] for night in trusted if name in night and np.isfinite(night[name])]
        if name not in metrics or len(before) < settings.trusted_nights:
            continue
        low, high = _corridor(np.array(before), watched, settings.corridor_width)
        value = metrics[name]
        inside = (value >= low or not watched.below) and (value <= high or not watched.above)
        if not inside or not np.isfinite(value):
            found.append(Drift(metric=name, value=value, low=low, high=high, nights=len(before)))
    return tuple(found)


def _corridor(values: np.ndarray, watched: Watched, width: float) -> tuple[float, float]:
    middle = float(np.median(values))
    sigma = _TO_SIGMA * float(np.median(np.abs(values - middle)))
    half = max(width * sigma, watched.noise, watched.relative * abs(middle))
    return middle - half, middle + half
