"""The examples of docs/custom-code.md run (its rollout: test_interrupted.py), wrong functions are refused."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.test_grpo import job, parts
from training.grpo import train
from training.rollout.buffer import Sample
from training.rollout.engine import Completion, FinishReason
from training.rollout.prompts import PromptRow
from training.rollout.ranks import Ranks
from training.rollout.rewards.custom import (
    Generated,
    RolloutInput,
    check_vocabulary,
    load_generate,
    load_rollout,
)
from training.rollout.rewards.rewards import Response, Reward, load_function
from training.settings.jobs import TrainingSettings
from training.settings.optimization import GrpoSettings
from training.settings.rollout import RolloutSettings

DOCS = Path(__file__).parents[4] / "docs"


def test_the_page_shows_the_examples_as_they_are():
    page = (DOCS / "custom-code.md").read_text()
    shown = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    files = sorted((DOCS / "examples").glob("*.py"))
    assert sorted(shown) == sorted(file.read_text() for file in files) and files
    for name in re.findall(r"_function: (\S+)", page):
        assert callable(load_function(name))


def test_the_reward_of_the_page():
    row = PromptRow.model_validate({"prompt": [{"role": "user", "content": "1+1"}], "label": "2"})
    reward = load_function("docs.examples.reward:exact_answer")
    right, long, wrong, empty = reward([Response(row, text) for text in ("2", "it is 2", "3", "")])
    assert (right.value, long.value, wrong.value, empty.value) == (1, 0.98, 0, 0)
    assert right.metrics == {"answers/correct": 1, "answers/words": 1}


def test_the_filter_of_the_page(single_process, folder, tmp_path):
    changed = job(folder, tmp_path, filter_function="docs.examples.group_filter:worth_training_on")
    collection, _ = parts(changed)[1].collect(0, Ranks.alone())
    assert 0 < len(collection.groups) == sum(group.has_spread for group in collection.drawn)


def test_the_generate_function_of_the_page_is_trained_on(single_process, folder, tmp_path):
    changed = job(
        folder, tmp_path, generate_function="docs.examples.generate:second_thoughts", max_new_tokens=80
    )
    policy, rollouts, _ = parts(changed)
    samples = rollouts.collect(0, Ranks.alone())[0].samples
    two_turns = [sample for sample in samples if sample.loss_mask]
    assert two_turns and all(0 < sample.learnt < len(sample.loss_mask) for sample in two_turns)
    assert all("Check your answer" in sample.text for sample in two_turns)
    reports = policy.update(samples, 0)  # checks that engine and trainer agree on the written tokens
    tokens = sum(report["tokens"] for report in reports)
    assert tokens == sum(s.learnt for s in samples if _advantage_matters(s, samples))


def _advantage_matters(sample, samples):
    group = [other.reward.value for other in samples if other.group_index == sample.group_index]
    return len(set(group)) > 1 and sample.reward.value != pytest.approx(sum(group) / len(group))


ROW = PromptRow.model_validate({"prompt": [{"role": "user", "content": "x"}], "label": "p"})
COMPLETION = Completion((1, 2), (-0.1, -0.2), FinishReason.STOP, 0)


def generates_text(request):
    return "hello"


def masks_too_little(request):
    return Generated(COMPLETION, loss_mask=(True,))


def rolls_nothing(rollout):
    return None


def rolls_empty(rollout):
    return []


def rolls_strangers(rollout):
    return [Sample(7, ROW, (1,), COMPLETION, "x", Reward(0.0))]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("generates_text", "gave a str; it must return a .*Generated"), ("masks_too_little", "one of each")],
)
def test_a_wrong_response_is_refused(name, sentence):
    with pytest.raises(WarpsmithError, match=sentence):
        load_generate(f"{__name__}:{name}")(None)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rolls_nothing", "gave a NoneType; it must return a sequence of .*Sample"),
        ("rolls_empty", "no samples for 4 prompts"),
        ("rolls_strangers", "group 7; number them 0 to 3"),
    ],
)
def test_a_wrong_rollout_is_refused(single_process, folder, tmp_path, name, sentence):
    with pytest.raises(WarpsmithError, match=sentence):
        train(job(folder, tmp_path, rollout_function=f"{__name__}:{name}"))


def returns(value):
    """A stand-in for the user's module, whose functions all give `value`."""
    return lambda reference: lambda request: value


def completion(**changes) -> Completion:
    return replace(COMPLETION, **changes)


NAN = float("nan")
BAD_COMPLETIONS = [
    (Generated("x"), "gave a str; it must return a .*Completion"),
    (Generated(completion(token_ids=(1, -2))), r"token_ids -2\.\.1; give a tokenizer's ids"),
    (Generated(completion(token_ids=(1, 2**40))), "give a tokenizer's ids"),
    (Generated(completion(token_ids=(1.0, 2.0))), "numbers in one sequence as token_ids"),
    (Generated(completion(token_ids=(1, None))), "numbers in one sequence as token_ids"),
    (Generated(completion(token_ids=None)), "numbers in one sequence as token_ids"),
    (Generated(completion(token_ids=((1, 2), (1,)))), "numbers in one sequence as token_ids"),
    (Generated(completion(logprobs=None)), "numbers in one sequence as logprobs"),
    (Generated(completion(logprobs=(-0.1, "x"))), "numbers in one sequence as logprobs"),
    (Generated(completion(logprobs=(-0.1, NAN))), "a logprob that is not finite"),
    (Generated(completion(logprobs=(NAN, -0.1)), (True, False)), "a logprob that is not finite"),
    (Generated(COMPLETION, None), "numbers in one sequence as loss_mask"),
    (Generated(COMPLETION, ("yes", "no")), "numbers in one sequence as loss_mask"),
    (Generated(completion(finish_reason="done")), "it must return a .*FinishReason"),
    (Generated(completion(weight_version=-1)), "weight_version -1; give that of the engine's"),
    (Generated(completion(weight_version="new")), "weight_version 'new'"),
]


@pytest.mark.parametrize(("generated", "sentence"), BAD_COMPLETIONS)
def test_a_completion_that_makes_no_sense_is_refused(monkeypatch, generated, sentence):
    monkeypatch.setattr("training.rollout.rewards.custom.load_function", returns(generated))
    with pytest.raises(WarpsmithError, match=f"mine:function .*{sentence}"):
        load_generate("mine:function")(None)


def test_a_completion_of_arrays_and_lists_is_taken(monkeypatch):
    """Tokens of tools may have any log-probability."""
    given = Completion(np.array([1, 2]), [torch.tensor(-0.5), NAN], "stop", 3)
    monkeypatch.setattr("training.rollout.rewards.custom.load_function", returns(Generated(given, [1, 0])))
    generated = load_generate("mine:function")(None)
    assert generated.completion.token_ids == (1, 2) and generated.completion.logprobs[0] == -0.5
    assert generated.completion.finish_reason is FinishReason.STOP
    assert generated.loss_mask == (True, False)


SAMPLE = Sample(7, ROW, (1,), COMPLETION, "x", Reward(0.0))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"row": None}, "gave a NoneType; it must return a PromptRow as a sample's row"),
        ({"text": 5}, "a str as a sample's text"),
        ({"reward": 1.0}, "a Reward as a sample's reward"),
        ({"reward": Reward("1")}, "gave '1' as the reward"),
        ({"prompt_ids": (1, -1)}, r"prompt_ids -1\.\.1"),
        ({"completion": completion(logprobs=(NAN, NAN))}, "a logprob that is not finite"),
        ({"completion": completion(weight_version=4)}, "weight_version 4; give that of the engine's"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused(monkeypatch, changes, sentence):
    samples = [SAMPLE, replace(SAMPLE, **changes)]
    monkeypatch.setattr("training.rollout.rewards.custom.load_function", returns(samples))
    rollout = RolloutInput(3, (ROW,), 7, 2, None, None, None, None)
    with pytest.raises(WarpsmithError, match=f"mine:function .*{sentence}"):
        load_rollout("mine:function")(rollout)


def test_samples_have_the_numbers_that_are_logged(monkeypatch):
    given = replace(SAMPLE, prompt_ids=[1], reward=Reward(np.float32(0.5)))
    monkeypatch.setattr("training.rollout.rewards.custom.load_function", returns([given]))
    (sample,) = load_rollout("mine:function")(RolloutInput(3, (ROW,), 7, 2, None, None, None, None))
    assert sample == replace(SAMPLE, reward=Reward(0.5))
    assert type(sample.reward.value) is float and type(sample.prompt_ids) is tuple


def test_tokens_that_the_model_does_not_have_are_refused():
    check_vocabulary([SAMPLE], 3)
    for sample in (SAMPLE, replace(SAMPLE, prompt_ids=(2,), completion=completion(token_ids=(0, 1)))):
        with pytest.raises(WarpsmithError, match=r"the token id 2, but the model's are 0\.\.1"):
            check_vocabulary([sample], 2)


def test_a_missing_function_is_named(single_process, folder, tmp_path):
    for setting in ("generate_function", "rollout_function", "filter_function", "reward_function"):
        with pytest.raises(WarpsmithError, match=r"tests\.training\.tiny has no function nowhere"):
            train(job(folder, tmp_path, **{setting: "tests.training.tiny:nowhere"}))


def test_partial_rollouts_and_custom_generation_exclude_each_other():
    grpo = GrpoSettings(asynchronous=True, partial_rollout=True, importance_cap=2.0)
    with pytest.raises(ValueError, match=r"rollout\.generate_function"):
        TrainingSettings(grpo=grpo, rollout=RolloutSettings(generate_function="a:b"))
