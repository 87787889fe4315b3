"""From rewards to advantages: how much better a response is than the others of its group.

Groups are named by an explicit `group_index`, one integer per response. Neither the order of the
responses nor the sizes of the groups matter, so dropped or failed samples cannot shift a group's
statistics onto its neighbour's rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.settings.optimization import Advantage

#: Added to the standard deviation; keeps a group with tiny spread from exploding.
STD_EPSILON = 1e-6


def group_advantages(rewards: Tensor, group_index: Tensor, kind: Advantage = Advantage.GRPO) -> Tensor:
    """Advantage of every response within its group.

    GRPO (2402.03300): (r - mean) / (std + 1e-6) with the unbiased std (n - 1). Dr.GRPO (2503.20783):
    r - mean; its constant L*G is the loss normaliser's (`Aggregation.CONSTANT`). RLOO (2402.14740):
    (r - mean) * n / (n - 1), the reward less the mean of the others. A group of one, or whose rewards
    are all equal, gets exactly 0.

    Args:
        rewards: [N] finite numbers.
        group_index: [N] integers; equal means same group, the values mean nothing else.
        kind: which of the three.

    Returns:
        float32 [N], computed in float64.
    """
    if rewards.shape != group_index.shape or rewards.dim() != 1:
        raise ValueError(f"need one group index per reward, got {rewards.shape} and {group_index.shape}")
    if not torch.isfinite(rewards).all():
        raise ValueError("rewards must be finite numbers")
    group, count = _groups(group_index)
    reward = rewards.double()
    mean = (_group_sum(reward, group, len(count)) / count)[group]
    centred = reward - mean
    others = (count - 1).clamp(min=1)
    if kind is Advantage.GRPO:
        variance = _group_sum(centred.square(), group, len(count)) / others
        centred = centred / (variance.sqrt()[group] + STD_EPSILON)
    elif kind is Advantage.RLOO:
        centred = centred * (count / others)[group]
    return torch.where(has_spread(rewards, group_index), centred, 0.0).float()


def has_spread(rewards: Tensor, group_index: Tensor) -> Tensor:
    """Bool [N]: whether the response's group holds different rewards; without that it teaches nothing."""
    group, count = _groups(group_index)
    lowest = rewards.new_zeros(len(count)).scatter_reduce(0, group, rewards, "amin", include_self=False)
    highest = rewards.new_zeros(len(count)).scatter_reduce(0, group, rewards, "amax", include_self=False)
    return (highest > lowest)[group]


def overlong_penalty(lengths: Tensor, max_new_tokens: int, buffer: int, factor: float) -> Tensor:
    """DAPO's soft punishment of long responses (2503.14476), to be added to the reward; float32 [N], <= 0.

    min(-(length - (max_new_tokens - buffer)) / buffer * factor, 0): nothing up to `buffer` tokens before
    the limit, then falling linearly to -factor at the limit. A buffer of 0 turns it off.
    """
    if buffer == 0:
        return torch.zeros(lengths.shape)
    excess = lengths.float() - (max_new_tokens - buffer)
    return (-excess / buffer * factor).clamp(max=0.0)


def _groups(group_index: Tensor) -> tuple[Tensor, Tensor]:
    """Number the groups 0, 1, ...: the number of each row's group [N], and each group's size."""
    _, group, count = torch.unique(group_index, return_inverse=True, return_counts=True)
    return group, count


def _group_sum(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Sum `values` [N] by group [groups]."""
    return values.new_zeros(groups).index_add(0, group, values)
