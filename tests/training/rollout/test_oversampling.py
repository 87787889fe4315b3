"""More groups than are needed: the first good ones end the round; the rest is given up or gone on with."""

import pytest

from tests.training.fleet import Fleet
from tests.training.night import metrics
from tests.training.reward_for_tests import letter
from tests.training.test_grpo import job, parts
from training.grpo import train
from training.model.tokenizer import load_tokenizer
from training.rollout.draw import Rollouts
from training.rollout.engine import Completion, FinishReason, Sampling
from training.rollout.partial import NOT_BEGUN, UnfinishedGroup, joined, remaining
from training.rollout.prompts import PromptCursor, read_prompts
from training.rollout.ranks import Ranks
from training.rollout.respond import Responder

OVER = {"over_sampling_batch_size": 7, "sampling_rounds": 3}
PARTIAL = {**OVER, "partial_rollout": True, "importance_cap": 2.0}


def fleet_rollouts(run, slow_rows):
    """A run's policy, and rollouts over an engine for which the prompts of `slow_rows` (draws) are slow."""
    policy, _, trainer = parts(run)
    rows = read_prompts(run.prompts)
    settings, hf_dir = run.settings, run.checkpoint / "hf"
    slow = set()
    engine = Fleet(trainer.architecture, slow=lambda prompt: tuple(prompt) in slow)
    engine.update_weights(policy.weights(), 0)
    cursor = PromptCursor(len(rows), 0)
    responder = Responder(load_tokenizer(hf_dir), engine, letter, settings.grpo, settings.rollout)
    for index in PromptCursor(len(rows), 0).take(slow_rows[-1] + 1)[slow_rows[0] :]:
        slow.add(responder.open_group(rows[index], []).prompt_ids)
    return policy, Rollouts(rows, cursor, responder, settings.grpo, settings.rollout), cursor


def test_local_engines_keep_the_first_groups_that_pass(single_process, folder, tmp_path):
    run = job(folder, tmp_path, grpo=OVER, filter_function="spread")
    collection, _ = parts(run)[1].collect(0, Ranks.alone())
    good = [group for group in collection.drawn if group.has_spread]
    assert len(collection.drawn) == 7 and collection.rounds == 1
    assert collection.groups == tuple(good[:4]) and collection.surplus == tuple(good[4:])


def test_slow_groups_are_given_up(single_process, folder, tmp_path):
    _, rollouts, cursor = fleet_rollouts(job(folder, tmp_path, grpo=OVER), [4, 5, 6])
    asked = []
    rollouts._keep = lambda group: not asked.append(group.index)
    collection, seconds = rollouts.collect(0, Ranks.together())
    assert sorted(asked) == sorted(group.index for group in collection.drawn)  # once each
    assert sorted(group.index for group in collection.groups) == [0, 1, 2, 3]
    assert len(collection.drawn) + collection.given_up == 7 and collection.given_up
    assert rollouts.left_over == [] and cursor.state_dict()["drawn"] == 7
    assert seconds.generate > 0 and seconds.score > 0


def test_slow_groups_are_gone_on_with_and_trained_on(single_process, folder, tmp_path):
    run = job(folder, tmp_path, grpo=PARTIAL, max_new_tokens=60)
    policy, rollouts, cursor = fleet_rollouts(run, [4, 5, 6])
    first, _ = rollouts.collect(0, Ranks.together())
    begun = list(rollouts.left_over)
    assert len(begun) == first.given_up == 3 and all(group.oldest_version == 0 for group in begun)
    assert any(0 < len(c.token_ids) < 60 for group in begun for c in group.completions)
    policy.update(first.samples, 0)
    engine = rollouts.responder.engine.engine
    engine.update_weights(policy.weights(), 1)
    quick = [tuple(group.prompt_ids) for group in begun]  # the rest would else be enough now and then
    engine._slow = lambda prompt: not any(tuple(prompt[: len(ids)]) == ids for ids in quick)
    second, _ = rollouts.collect(1, Ranks.together())
    assert second.continued == 3 and cursor.state_dict()["drawn"] == 7 + 4
    finished = {group.samples[0].row.label: group for group in second.drawn}
    for group in begun:
        samples = finished[group.row.label].samples
        for sample, so_far in zip(samples, group.completions, strict=True):
            assert sample.completion.token_ids[: len(so_far.token_ids)] == so_far.token_ids
            assert sample.completion.logprobs[: len(so_far.logprobs)] == so_far.logprobs
            assert len(sample.completion.logprobs) == len(sample.completion.token_ids) <= 60
            assert sample.completion.finish_reason is not FinishReason.ABORT


def test_groups_that_are_too_stale_are_begun_again(single_process, folder, tmp_path):
    _, rollouts, _ = fleet_rollouts(job(folder, tmp_path, grpo=PARTIAL), [4, 5, 6])
    rollouts.collect(0, Ranks.together())
    assert rollouts.left_over
    rollouts.responder.engine.engine._pause_s = 0
    rollouts.responder.engine.engine._version = 5
    collection, _ = rollouts.collect(5, Ranks.together())
    assert collection.continued
    assert {sample.completion.weight_version for group in collection.drawn for sample in group.samples} == {5}


def test_surplus_groups_of_local_engines_are_trained_on_next(single_process, folder, tmp_path):
    train(job(folder, tmp_path, grpo=PARTIAL))
    history = metrics(tmp_path)
    assert [row["rollout/continued_groups"] for row in history] == [0, 3, 3, 3, 3, 3]
    assert all(row["rollout/staleness_max"] <= 1 for row in history)


def test_what_is_left_over_survives_a_resume(single_process, folder, tmp_path):
    settings = {**PARTIAL, "save_every": 3}
    train(job(folder, tmp_path / "straight", grpo=settings))
    train(job(folder, tmp_path / "cut", grpo=settings))
    for name in ("step_000006",):
        (tmp_path / "cut" / "checkpoints" / name).rename(tmp_path / name)
    train(job(folder, tmp_path / "cut", grpo=settings))
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "straight")


def test_a_continuation_has_the_rest_of_the_tokens_and_a_seed_of_its_own():
    sampling = Sampling(max_new_tokens=10, seed=7)
    so_far = Completion((1, 2, 3), (-1.0, -2.0, -3.0), FinishReason.ABORT, 4)
    rest = remaining(sampling, so_far)
    assert rest.max_new_tokens == 7 and rest.seed != 7 and remaining(sampling, NOT_BEGUN) is sampling
    whole = joined(so_far, Completion((4,), (-4.0,), FinishReason.STOP, 5))
    assert whole == Completion((1, 2, 3, 4), (-1.0, -2.0, -3.0, -4.0), FinishReason.STOP, 5)
    nothing_more = joined(so_far, Completion((), (), FinishReason.ABORT, 5))
    assert nothing_more.weight_version == 4


def test_the_oldest_version_is_that_of_the_first_tokens():
    group = UnfinishedGroup(None, (1,), (Sampling(max_new_tokens=2, seed=0),), (NOT_BEGUN,))
    begun = group.with_completions([Completion((1,), (0.0,), FinishReason.ABORT, 3)])
    assert begun.oldest_version == 3
    assert (
        begun.with_completions([Completion((1, 2), (0.0, 0.0), FinishReason.LENGTH, 4)]).oldest_version == 3
    )
    assert begun.begun_again() == group


def test_an_idle_engine_forgets_an_abort(single_process, folder, tmp_path):
    rollouts = parts(job(folder, tmp_path))[1]
    rollouts.responder.engine.engine.abort()
    collection, _ = rollouts.collect(0, Ranks.alone())
    assert all(s.completion.finish_reason is not FinishReason.ABORT for s in collection.samples)


@pytest.mark.parametrize("rounds", [1, 3])
def test_an_unsatisfiable_filter_ends_after_the_rounds(single_process, folder, tmp_path, rounds):
    run = job(
        folder,
        tmp_path,
        grpo={**OVER, "sampling_rounds": rounds},
        filter_function=f"{__name__}:nothing",
    )
    _, rollouts, _ = fleet_rollouts(run, [5, 6])
    rollouts.responder.engine.engine._pause_s = 0
    collection, _ = rollouts.collect(0, Ranks.together())
    assert collection.groups == () and len(collection.drawn) == 7 * rounds
    assert len({group.index for group in collection.drawn}) == 7 * rounds


def nothing(group):
    return False
