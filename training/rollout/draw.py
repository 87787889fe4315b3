"""One rollout over all ranks: prompts drawn, responses generated and judged, groups filtered.

All ranks return the same groups. With an engine on every rank they make them together; with a shared engine,
or a rollout function of the user's own, rank 0 makes them for all and keeps what is left over, and the data
cursor of the other ranks stays where it is.

What is sampled depends on the seed, the step and a response's number in the step alone, never on a random
stream that runs on: so a resumed run samples what the uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from training.rollout.buffer import (
    Collection,
    Group,
    GroupFilter,
    Sample,
    asked_once,
    collect,
    group_samples,
    keep_all,
    load_filter,
)
from training.rollout.engine import Sampling
from training.rollout.oversampling import first_good_groups
from training.rollout.partial import UnfinishedGroup
from training.rollout.prompts import PromptCursor, PromptRow
from training.rollout.ranks import Ranks
from training.rollout.respond import Responder
from training.rollout.rewards.custom import RolloutInput, load_rollout
from training.rollout.rewards.timing import Seconds
from training.settings.optimization import GrpoSettings
from training.settings.rollout import RolloutSettings


@dataclass
class _Making:
    """A rollout that is being made."""

    step: int
    ranks: Ranks
    keep: GroupFilter
    on_generated: Callable[[], None]
    seconds: Seconds = field(default_factory=Seconds)
    rounds: int = 0
    begun: dict[int, UnfinishedGroup] = field(default_factory=dict)
    """Every draw by its group's number."""
    given_up: int = 0
    continued: int = 0


class Rollouts:
    """Draws the rollouts of a GRPO run, one after the other."""

    def __init__(
        self,
        rows: Sequence[PromptRow],
        cursor: PromptCursor,
        responder: Responder,
        grpo: GrpoSettings,
        rollout: RolloutSettings,
    ) -> None:
        self.responder = responder
        self.left_over: list[UnfinishedGroup] = []
        """Groups that were begun but not trained on, for the next rollout (with `partial_rollout`)."""
        self._rows, self._cursor = rows, cursor
        self._grpo = grpo
        self._keep = load_filter(rollout.filter_function)
        self._rollout_function = load_rollout(rollout.rollout_function)
        self._shared = responder.engine.engine.shared

    def collect(
        self, step: int, ranks: Ranks, on_generated: Callable[[], None] = lambda: None
    ) -> tuple[Collection, Seconds]:
        """The groups to train on in `step` (0, 1, ...); collective over `ranks`.

        `on_generated` is called once the engine is needed no more, if that is before everything is judged.
        """
        main_makes_all = self._shared or self._rollout_function is not None
        if not main_makes_all:
            return self._collect(_Making(step, ranks, asked_once(self._keep), on_generated))
        alone = _Making(step, Ranks.alone(), asked_once(self._keep), on_generated)
        made = self._collect(alone) if ranks.rank == 0 else None
        received = ranks.broadcast(made)
        assert received is not None
        return received

    def _collect(self, making: _Making) -> tuple[Collection, Seconds]:
        collection = collect(
            partial(self._draw, making),
            making.keep,
            wanted=self._grpo.prompts_per_step,
            max_rounds=self._grpo.sampling_rounds,
            batch=self._grpo.over_sampling_batch_size,
        )
        if self._grpo.partial_rollout:
            self.left_over += [
                making.begun[group.index].with_completions([sample.completion for sample in group.samples])
                for group in collection.surplus
            ]
        return replace(collection, given_up=making.given_up, continued=making.continued), making.seconds

    def _draw(self, making: _Making, count: int, first: int, missing: int) -> list[Group]:
        """A round of `count` groups, numbered from `first`, of which `missing` good ones are needed."""
        making.rounds += 1
        begun = self._begin(making, count, first)
        if self._rollout_function is not None:
            samples = self._call_rollout_function(making, begun)
        elif self._shared and self._grpo.over_sampling_batch_size is not None:
            samples = self._first_good_samples(making, begun, missing)
        else:
            samples = self._samples(making, begun)
        if self._grpo.shuffle_rewards:
            samples = _shuffle_rewards(samples, [self._grpo.seed, making.step, first])
        return group_samples(samples)

    def _begin(self, making: _Making, count: int, first: int) -> dict[int, UnfinishedGroup]:
        """The next draws by their numbers: what is left over from before, then new prompts."""
        continued, self.left_over = self.left_over[:count], self.left_over[count:]
        groups = [
            group.begun_again() if _is_stale(group, making.step, self._grpo.max_staleness) else group
            for group in continued
        ]
        each = self._grpo.samples_per_prompt
        for number, index in enumerate(self._cursor.take(count - len(groups)), first + len(groups)):
            sampling = [self._sampling(making.step, number * each + turn) for turn in range(each)]
            groups.append(self.responder.open_group(self._rows[index], sampling))
        begun = dict(enumerate(groups, first))
        making.begun |= begun
        making.continued += len(continued)
        return begun

    def _samples(self, making: _Making, begun: dict[int, UnfinishedGroup]) -> list[Sample]:
        """Write everything, then judge everything."""
        groups = list(begun.values())
        with making.seconds.generating():
            responses = self.responder.write(groups, making.ranks)
        if self._is_last_round(making):
            making.on_generated()
        with making.seconds.scoring():
            return self.responder.judge(list(begun), groups, responses, making.ranks)

    def _is_last_round(self, making: _Making) -> bool:
        """Whether the rewards cannot bring about another round, nor leave anything over for the next step."""
        grpo = self._grpo
        if grpo.partial_rollout and grpo.over_sampling_batch_size is not None:
            return False
        return making.rounds == grpo.sampling_rounds or self._keep is keep_all

    def _first_good_samples(
        self, making: _Making, begun: dict[int, UnfinishedGroup], missing: int
    ) -> list[Sample]:
        """Judge groups as they come, and stop once enough are good."""
        result = first_good_groups(begun, self.responder, making.keep, missing, making.seconds)
        making.given_up += len(result.given_up)
        if self._grpo.partial_rollout:
            self.left_over += result.given_up
        return [sample for group in result.groups for sample in group.samples]

    def _call_rollout_function(self, making: _Making, begun: dict[int, UnfinishedGroup]) -> Sequence[Sample]:
        assert self._rollout_function is not None
        with making.seconds.generating():
            return self._rollout_function(
                RolloutInput(
                    step=making.step,
                    rows=tuple(group.row for group in begun.values()),
                    first_group=min(begun),
                    samples_per_prompt=self._grpo.samples_per_prompt,
                    sampling=partial(self._sampling, making.step),
                    engine=self.responder.engine.engine,
                    tokenizer=self.responder.tokenizer,
                    score=self.responder.score,
                )
            )

    def _sampling(self, step: int, number: int) -> Sampling:
        return self.responder.sampling(stream_seed(self._grpo.seed, step, number))


def stream_seed(seed: int, step: int, number: int) -> int:
    """A seed for one response's sampling, from the run's seed, the step and the response's number in it."""
    return int(np.random.SeedSequence([seed, step, number]).generate_state(1, np.uint64)[0]) >> 1


def _is_stale(group: UnfinishedGroup, step: int, max_staleness: int) -> bool:
    """Whether training on the group in `step` would be more than `max_staleness` updates too late."""
    return group.oldest_version is not None and step - group.oldest_version > max_staleness


def _shuffle_rewards(samples: Sequence[Sample], seed: Sequence[int]) -> list[Sample]:
    """Give each response another's reward value; a policy can learn nothing from it."""
    order = np.random.default_rng(seed).permutation(len(samples))
    return [
        replace(sample, reward=replace(sample.reward, value=samples[other].reward.value))
        for sample, other in zip(samples, order, strict=True)
    ]
