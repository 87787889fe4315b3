"""Evaluation while training: the model answers a fixed set of prompts every few steps.

It draws from random streams of its own, the same ones each time, so that two evaluations differ by the model
alone, and training goes on as if there had been none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from training.rollout.buffer import Sample
from training.rollout.prompts import PromptRow
from training.rollout.ranks import Ranks
from training.rollout.respond import Responder
from training.rollout.rewards.rewards import mean_metrics
from training.settings.optimization import GrpoSettings

_PREFIX = "eval/validation"
#: What the best checkpoint is best by.
BEST_BY = f"{_PREFIX}/reward/mean"
#: Sets these streams apart from those of `rollout.draw.stream_seed`, which are named by three numbers.
_STREAM = (0, 0, 0, 1)


class Validation:
    """A set of prompts and how often the model answers them. Collective: all ranks call it alike."""

    def __init__(self, rows: Sequence[PromptRow], responder: Responder, settings: GrpoSettings) -> None:
        """Evaluate on `rows`; collective."""
        self._rows, self._responder, self._settings = rows, responder, settings
        self._ranks = Ranks.together()

    def is_due(self, step: int) -> bool:
        """Whether to evaluate the weights after `step` steps."""
        interval = self._settings.eval_interval
        return interval is not None and (step % interval == 0 or step == self._settings.steps)

    def metrics(self) -> dict[str, float]:
        """Rewards, rates and lengths under the engine's weights, as `eval/validation/...`.

        The engine must be idle.
        """
        start = time.perf_counter()
        if not self._responder.engine.engine.shared:
            metrics = _metrics(self._samples(self._ranks))
        else:
            main = self._ranks.rank == 0
            metrics = self._ranks.broadcast(_metrics(self._samples(Ranks.alone())) if main else {})
        return {**metrics, "perf/evaluate_seconds": time.perf_counter() - start}

    def _samples(self, ranks: Ranks) -> list[Sample]:
        """All responses of the set, judged."""
        settings, each = self._settings, self._settings.eval_samples_per_prompt
        limits = settings.eval_temperature, settings.eval_max_new_tokens
        groups = [
            self._responder.open_group(
                row,
                [
                    self._responder.sampling(_seed(settings.seed, number * each + turn), *limits)
                    for turn in range(each)
                ],
            )
            for number, row in enumerate(self._rows)
        ]
        responses = self._responder.write(groups, ranks)
        return self._responder.judge(range(len(groups)), groups, responses, ranks)


def _metrics(samples: Sequence[Sample]) -> dict[str, float]:
    groups = [list(group) for _, group in groupby(samples, lambda sample: sample.group_index)]
    best = [max(sample.reward.value for sample in group) for group in groups]
    metrics = {
        **mean_metrics([sample.reward for sample in samples]),
        "reward/best": float(np.mean(best)),
        "response_length_mean": float(np.mean([len(sample.completion.token_ids) for sample in samples])),
        "truncated": float(np.mean([sample.truncated for sample in samples])),
        "samples": float(len(samples)),
    }
    return {f"{_PREFIX}/{name}": value for name, value in metrics.items()}


def _seed(seed: int, number: int) -> int:
    """A seed for the response of a number."""
    return int(np.random.SeedSequence([seed, number, *_STREAM]).generate_state(1, np.uint64)[0]) >> 1
