"""The prompt cursor resumes exactly, and groups are collected and filtered by their own index."""

import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import WarpsmithError
from training.objective.advantages import group_advantages
from training.rollout.buffer import (
    Sample,
    collect,
    group_samples,
    keep_all,
    keep_spread,
    load_filter,
)
from training.rollout.engine import Completion, FinishReason
from training.rollout.prompts import PromptCursor, PromptRow, read_prompts
from training.rollout.rewards.rewards import Reward
from training.settings.optimization import Advantage

ROW = PromptRow.model_validate({"prompt": [{"role": "user", "content": "add x and y"}], "label": "p1"})


def sample(group, reward, finish=FinishReason.STOP):
    """A sample of a group with a reward; one without was not judged."""
    given = Reward(0.0, judged=False) if reward is None else Reward(reward)
    return Sample(group, ROW, (1, 2), Completion((3,), (-0.5,), finish, 0), "text", given)


def groups(rewards, first=0):
    """One group for each list of rewards."""
    return group_samples(sample(first + i, r) for i, group in enumerate(rewards) for r in group)


@pytest.mark.parametrize("kind", Advantage)
def test_a_sample_that_was_not_judged_teaches_nothing_and_changes_no_other(kind):
    given = [[0.2, None, 1.0, 0.1], [0.1, 0.1, None], [None, None]]
    samples = [one for group in groups(given) for one in group.samples]
    rewards = torch.tensor([one.reward.value for one in samples])
    found = group_advantages(rewards, torch.tensor([one.group_index for one in samples]), kind)
    assert found[[1, 4, 5, 6, 7, 8]].abs().max() < 1e-6
    judged = group_advantages(torch.tensor([0.2, 1.0, 0.1]), torch.zeros(3, dtype=torch.long), kind)
    assert torch.equal(found[[0, 2, 3]].sign(), judged.sign())
    assert not groups(given)[1].has_spread


@given(st.integers(1, 20), st.integers(0, 2**32), st.lists(st.integers(0, 30), max_size=8))
def test_every_epoch_is_a_permutation_however_it_is_cut(count, seed, sizes):
    cursor = PromptCursor(count, seed)
    cut = [row for size in sizes for row in cursor.take(size)]
    assert cut == PromptCursor(count, seed).take(sum(sizes))
    assert cursor.epoch == sum(sizes) // count
    for epoch in range(cursor.epoch):
        assert sorted(cut[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(st.integers(1, 20), st.integers(0, 2**32), st.integers(0, 50), st.integers(0, 50))
def test_a_resumed_cursor_goes_on_exactly(count, seed, before, after):
    cursor = PromptCursor(count, seed)
    cursor.take(before)
    state = json.loads(json.dumps(cursor.state_dict()))
    resumed = PromptCursor(count, seed)
    resumed.load_state_dict(state)
    assert resumed.take(after) == cursor.take(after)


def test_epochs_and_seeds_differ():
    cursor = PromptCursor(50, seed=1)
    first, second = cursor.take(50), cursor.take(50)
    assert first != second
    assert first != PromptCursor(50, seed=2).take(50)


def test_a_cursor_refuses_the_position_in_other_data():
    with pytest.raises(WarpsmithError, match=r"over 5 rows .* there are 6 rows"):
        PromptCursor(6, 0).load_state_dict(PromptCursor(5, 0).state_dict())


def test_prompts_are_read_and_bad_lines_named(tmp_path):
    path = tmp_path / "train.jsonl"
    chat = [{"role": "user", "content": "é\u2028"}]
    row = {"prompt": chat, "label": "p1", "metadata": {"level": 2}, "extra": 1}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n\n", encoding="utf-8")
    (read,) = read_prompts(path)
    assert read.messages == row["prompt"]
    assert read.metadata == {"level": 2}
    for bad, message in (
        ({"label": "x"}, r"line 2: prompt: Field required"),
        ({"prompt": [], "label": "x"}, r"line 2: prompt"),
        ({"prompt": [{"role": "user"}], "label": "x"}, r"line 2: prompt\.0\.content"),
    ):
        path.write_text(json.dumps(row) + "\n" + json.dumps(bad) + "\n")
        with pytest.raises(WarpsmithError, match=message):
            read_prompts(path)
    for content in ("", "not json\n"):
        path.write_text(content)
        with pytest.raises(WarpsmithError):
            read_prompts(path)
    with pytest.raises(WarpsmithError, match="cannot be read"):
        read_prompts(tmp_path / "none.jsonl")


def test_samples_are_grouped_by_index_in_any_order():
    mixed = [sample(7, 0.0), sample(3, 1.0), sample(7, 1.0), sample(3, 1.0), sample(9, 0.5)]
    gathered = group_samples(mixed)
    assert [(g.index, len(g.samples), g.has_spread) for g in gathered] == [
        (7, 2, True), (3, 2, False), (9, 1, False)
    ]  # fmt: skip
    assert sample(0, 0.0, FinishReason.LENGTH).truncated
    assert not sample(0, 0.0).truncated


def test_dynamic_sampling_draws_until_there_are_enough():
    script = iter([[[0, 1], [1, 1], [0, 0]], [[0, 0], [1, 0]], [[0, 1]]])
    asked = []

    def draw(count, first_index, missing):
        assert missing == count
        asked.append((count, first_index))
        return groups(next(script), first_index)

    collection = collect(draw, keep_spread, wanted=3, max_rounds=5)
    assert asked == [(3, 0), (2, 3), (1, 5)]
    assert [group.index for group in collection.groups] == [0, 4, 5]
    assert [group.index for group in collection.drawn] == list(range(6))
    assert collection.rounds == 3
    assert Counter(s.group_index for s in collection.samples) == {0: 2, 4: 2, 5: 2}


def test_rounds_are_capped_and_may_leave_nothing():
    collection = collect(
        lambda n, first, missing: groups([[1, 1]] * n, first), keep_spread, wanted=2, max_rounds=3
    )
    assert (collection.groups, len(collection.drawn), collection.rounds) == ((), 6, 3)


def test_filters_by_name():
    assert load_filter("all") is keep_all
    assert load_filter("spread") is keep_spread
    (group,) = groups([[0, 1]])
    assert load_filter("training.rollout.buffer:keep_all")(group) is True
    with pytest.raises(WarpsmithError, match="must return True or False"):
        load_filter("builtins:id")(group)
    with pytest.raises(WarpsmithError, match="no function"):
        load_filter("training.rollout.buffer:keep_some")
