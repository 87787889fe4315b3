"""Responses that were interrupted, and how they are gone on with under newer weights.

Every token keeps the log-probability under the weights that wrote it, so the importance weights of the loss
stay right for a response that several weights have written. Its `weight_version` is that of its last token.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from training.rollout.engine import Completion, FinishReason, RolloutEngine, Sampling
from training.rollout.prompts import PromptRow

#: A response of which nothing is written yet.
NOT_BEGUN = Completion((), (), FinishReason.ABORT, 0)
#: Seconds between two requests to end: a call that was just being sent may have missed the first.
ABORT_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class UnfinishedGroup:
    """One draw of one prompt, of which some responses are not written to their end."""

    row: PromptRow
    prompt_ids: tuple[int, ...]
    sampling: tuple[Sampling, ...]
    """Of each response, from its first token on."""
    completions: tuple[Completion, ...]
    """What is written so far; `NOT_BEGUN`, or whole, or aborted."""
    oldest_version: int | None = None
    """Version of the weights that wrote the first tokens; none before there are any."""

    def begun_again(self) -> UnfinishedGroup:
        """The same draw with nothing written."""
        return replace(self, completions=(NOT_BEGUN,) * len(self.completions), oldest_version=None)

    def with_completions(self, completions: Sequence[Completion]) -> UnfinishedGroup:
        """The group after another attempt to finish it."""
        versions = [completion.weight_version for completion in completions if completion.token_ids]
        oldest = self.oldest_version if self.oldest_version is not None else min(versions, default=None)
        return replace(self, completions=tuple(completions), oldest_version=oldest)


class Interruptible:
    """Generates through an engine whose calls are interrupted: to change its weights, or for good."""

    def __init__(self, engine: RolloutEngine) -> None:
        self.engine = engine
        self._state = threading.Condition()
        self._running = 0
        self._paused = False
        self._pauses = 0

    def generate(
        self,
        prompts: Sequence[tuple[int, ...]],
        sampling: Sequence[Sampling],
        so_far: Sequence[Completion] | None = None,
    ) -> list[Completion]:
        """Completions of all prompts, going on with those `so_far`, and through every pause.

        What comes back with `FinishReason.ABORT` was ended by `engine.abort` outside a pause, or given up by
        the engine.
        """
        results = list(so_far or [NOT_BEGUN] * len(prompts))
        while True:
            open_ones = [i for i, result in enumerate(results) if result.finish_reason is FinishReason.ABORT]
            with self._call() as pauses:
                written = self.engine.generate(
                    [prompts[i] + results[i].token_ids for i in open_ones],
                    [remaining(sampling[i], results[i]) for i in open_ones],
                )
            for i, more in zip(open_ones, written, strict=True):
                results[i] = joined(results[i], more)
            aborted = any(result.finish_reason is FinishReason.ABORT for result in results)
            if not aborted or pauses == self._pauses:
                return results

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Within it nothing is generated: calls that run are aborted, and go on afterwards."""
        with self._state:
            self._paused = True
            self._pauses += 1
            while self._running:
                self.engine.abort()
                self._state.wait(ABORT_AGAIN_S)
        try:
            yield
        finally:
            with self._state:
                self._paused = False
                self._state.notify_all()

    @contextmanager
    def _call(self) -> Iterator[int]:
        """Around a call of the engine; gives the number of pauses before it."""
        with self._state:
            self._state.wait_for(lambda: not self._paused)
            self._running += 1
            pauses = self._pauses
        try:
            yield pauses
        finally:
            with self._state:
                self._running -= 1
                self._state.notify_all()


def remaining(sampling: Sampling, so_far: Completion) -> Sampling:
    """How to sample the rest of a response: from a random stream named by how much is written."""
    written = len(so_far.token_ids)
    if not written:
        return sampling
    seed = int(np.random.SeedSequence([sampling.seed, written]).generate_state(1, np.uint64)[0]) >> 1
    return replace(sampling, max_new_tokens=sampling.max_new_tokens - written, seed=seed)


def joined(so_far: Completion, more: Completion) -> Completion:
    """One completion of two pieces."""
    if not so_far.token_ids:
        return more
    return Completion(
        so_far.token_ids + more.token_ids,
        so_far.logprobs + more.logprobs,
        more.finish_reason,
        more.weight_version if more.token_ids else so_far.weight_version,
    )
