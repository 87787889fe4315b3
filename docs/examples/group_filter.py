"""A filter: drop groups that teach nothing, and those of problems that are solved already."""

from statistics import mean

from training.rollout.buffer import Group

_SOLVED = 0.9


def worth_training_on(group: Group) -> bool:
    """Whether rewards differ and are not high throughout."""
    return group.has_spread and mean(sample.reward.value for sample in group.samples) < _SOLVED
