"""What a rollout yields: samples in groups, of which a filter keeps those worth training on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Protocol

from evaluation.errors import WarpsmithError
from training.rollout.engine import Completion, FinishReason
from training.rollout.prompts import PromptRow
from training.rollout.rewards.rewards import Reward, load_function


@dataclass(frozen=True, slots=True)
class Sample:
    """One response with all that training and the record need."""

    group_index: int
    """Names the group; equal for the samples of one draw of one prompt, unique within a step."""
    row: PromptRow
    prompt_ids: tuple[int, ...]
    completion: Completion
    text: str
    """The completion as text, without special tokens."""
    reward: Reward
    loss_mask: tuple[bool, ...] = ()
    """Which tokens of the completion the model wrote, one by one; empty means all."""

    @property
    def truncated(self) -> bool:
        """Whether the response ran into the token limit."""
        return self.completion.finish_reason is FinishReason.LENGTH

    @property
    def learnt(self) -> int:
        """Tokens that the model wrote."""
        return sum(self.loss_mask) if self.loss_mask else len(self.completion.token_ids)


@dataclass(frozen=True, slots=True)
class Group:
    """All samples of one draw of one prompt."""

    index: int
    samples: tuple[Sample, ...]

    @property
    def has_spread(self) -> bool:
        """Whether the rewards differ; if not, every advantage is 0."""
        return len({sample.reward.value for sample in self.samples}) > 1


class GroupFilter(Protocol):
    """Decides whether a group is worth training on."""

    def __call__(self, group: Group) -> bool:
        """True to keep it."""
        ...


@dataclass(frozen=True, slots=True)
class Collection:
    """The groups of one training step, and how they came about."""

    groups: tuple[Group, ...]
    """Those to train on: the number wanted, or fewer if the rounds ran out."""
    drawn: tuple[Group, ...]
    """All that were generated and rewarded, for statistics: those of `groups`, and those left over."""
    rounds: int
    surplus: tuple[Group, ...] = ()
    """Those that passed the filter when there were enough already."""
    given_up: int = 0
    """Groups that were still being written when there were enough."""
    continued: int = 0
    """Groups of an earlier step that were gone on with."""

    @property
    def samples(self) -> list[Sample]:
        """The samples to train on."""
        return [sample for group in self.groups for sample in group.samples]


def group_samples(samples: Iterable[Sample]) -> list[Group]:
    """Gather samples by their `group_index`, groups in order of first appearance.

    A sample that was not judged gets the mean reward of the others, so its advantage is 0 and theirs stay.
    """
    members: dict[int, list[Sample]] = {}
    for sample in samples:
        members.setdefault(sample.group_index, []).append(sample)
    return [Group(index, tuple(_neutral(group))) for index, group in members.items()]


def _neutral(group: Sequence[Sample]) -> list[Sample]:
    values = [sample.reward.value for sample in group if sample.reward.judged] or [0.0]
    mean = values[0] if len(set(values)) == 1 else fmean(values)
    return [
        sample if sample.reward.judged else replace(sample, reward=replace(sample.reward, value=mean))
        for sample in group
    ]


def keep_all(group: Group) -> bool:
    """No filter."""
    return True


def keep_spread(group: Group) -> bool:
    """Dynamic sampling (DAPO, 2503.14476): drop groups whose rewards are all equal."""
    return group.has_spread


BUILT_IN_FILTERS: dict[str, GroupFilter] = {"all": keep_all, "spread": keep_spread}


def load_filter(name: str) -> GroupFilter:
    """The filter that a profile names: `all`, `spread`, or `module:function`, with its answers checked."""
    if name in BUILT_IN_FILTERS:
        return BUILT_IN_FILTERS[name]
    function = load_function(name)

    def checked(group: Group) -> bool:
        answer = function(group)
        if not isinstance(answer, bool):
            raise WarpsmithError(f"the filter {name} gave {answer!r:.60}; it must return True or False")
        return answer

    return checked


def asked_once(keep: GroupFilter) -> GroupFilter:
    """The filter, asked once about each group of a step."""
    answers: dict[int, bool] = {}

    def once(group: Group) -> bool:
        if group.index not in answers:
            answers[group.index] = keep(group)
        return answers[group.index]

    return once


def collect(
    draw: Callable[[int, int, int], Sequence[Group]],
    keep: GroupFilter,
    *,
    wanted: int,
    max_rounds: int,
    batch: int | None = None,
) -> Collection:
    """Draw groups until `wanted` pass the filter, or `max_rounds` draws are done.

    `draw(count, first_index, missing)` generates and rewards `count` new groups, numbered from `first_index`;
    it may leave some out once `missing` of them pass. A round asks for as many as are missing, so that
    nothing is generated that could not be used, or for `batch` if that is more.
    """
    kept: list[Group] = []
    drawn: list[Group] = []
    asked = 0
    rounds = 0
    while len(kept) < wanted and rounds < max_rounds:
        missing = wanted - len(kept)
        count = max(missing, batch or 0)
        groups = draw(count, asked, missing)
        drawn += groups
        kept += [group for group in groups if keep(group)]
        asked += count
        rounds += 1
    return Collection(tuple(kept[:wanted]), tuple(drawn), rounds, surplus=tuple(kept[wanted:]))
