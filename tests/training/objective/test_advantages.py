"""Advantages against NumPy, group by group, whatever the order and sizes of the groups."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.objective.advantages import group_advantages, has_spread, overlong_penalty
from training.settings.optimization import Advantage

responses = st.lists(
    st.tuples(st.integers(-3, 3), st.one_of(st.sampled_from([0.0, 0.1, 0.2, 1.0]), st.floats(-1e3, 1e3))),
    min_size=1,
    max_size=30,
)


def columns(rows):
    """Rewards and group indices of (group, reward) rows, as tensors."""
    return torch.tensor([r for _, r in rows], dtype=torch.float64), torch.tensor([g for g, _ in rows])


def by_hand(rows, kind):
    """Each response's advantage from its own group's list, in NumPy."""
    result = []
    for group, reward in rows:
        members = np.array([r for g, r in rows if g == group])
        n = len(members)
        if n == 1 or members.min() == members.max():
            result.append(0.0)
        elif kind is Advantage.GRPO:
            result.append((reward - members.mean()) / (members.std(ddof=1) + 1e-6))
        elif kind is Advantage.RLOO:
            result.append(reward - (members.sum() - reward) / (n - 1))
        else:
            result.append(reward - members.mean())
    return result


@given(responses, st.sampled_from(Advantage))
@settings(max_examples=150, deadline=None)
def test_uneven_interleaved_groups_match_numpy(rows, kind):
    ours = group_advantages(*columns(rows), kind)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours, by_hand(rows, kind), rtol=1e-4, atol=1e-5)


@given(responses, st.randoms(use_true_random=False), st.sampled_from(Advantage))
@settings(max_examples=60, deadline=None)
def test_order_and_names_of_groups_do_not_matter(rows, random, kind):
    order = random.sample(range(len(rows)), len(rows))
    names = dict(zip(range(-3, 4), random.sample(range(1000), 7), strict=True))
    shuffled = [(names[rows[i][0]], rows[i][1]) for i in order]
    expected = group_advantages(*columns(rows), kind)[order]
    torch.testing.assert_close(group_advantages(*columns(shuffled), kind), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", Advantage)
def test_a_group_of_one_or_without_spread_gives_exact_zero(kind):
    rewards = torch.tensor([1.0, 0.1, 0.1, 0.1, 0.0, 1.0])
    groups = torch.tensor([7, 3, 3, 3, 5, 5])
    advantages = group_advantages(rewards, groups, kind)
    assert advantages[:4].tolist() == [0, 0, 0, 0]
    assert advantages[4] < 0 < advantages[5]
    assert has_spread(rewards, groups).tolist() == [False] * 4 + [True] * 2


def test_bad_rewards_are_refused():
    with pytest.raises(ValueError, match="finite"):
        group_advantages(torch.tensor([1.0, torch.nan]), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="one group index per reward"):
        group_advantages(torch.ones(3), torch.zeros(2, dtype=torch.int64))


def test_overlong_penalty_falls_linearly_in_the_buffer():
    lengths = torch.tensor([10, 80, 90, 100])
    assert overlong_penalty(lengths, 100, 20, 0.5).tolist() == [0, 0, -0.25, -0.5]
    assert overlong_penalty(lengths, 100, 0, 0.5).tolist() == [0, 0, 0, 0]
