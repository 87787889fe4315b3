"""GRPO: what is sampled and learnt, and that it is learnt."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.errors import WarpsmithError
from evaluation.problem import Problem
from evaluation.rows import read_rows
from evaluation.settings import EvaluationSettings
from tests.training.night import metrics, weights, write_rows
from tests.training.reward_for_tests import letter
from tests.training.tiny import one_process
from training.checkpoint.gather import hf_weights
from training.checkpoint.torch_dist import load_model
from training.grpo import _secret, train
from training.model.tokenizer import load_tokenizer
from training.optimize.trainer import Trainer
from training.policy.policy import Policy
from training.rollout.draw import Rollouts, stream_seed
from training.rollout.local.engine import LocalEngine
from training.rollout.prompts import PromptCursor, read_prompts
from training.rollout.ranks import Ranks
from training.rollout.respond import Responder
from training.settings.architecture import read_architecture
from training.settings.jobs import GrpoJob, MegatronSettings, TrainingSettings
from training.settings.optimization import GrpoSettings
from training.settings.rollout import RolloutSettings

GRPO = {
    "steps": 6,
    "prompts_per_step": 4,
    "samples_per_prompt": 4,
    "minibatches": 2,
    "mismatch_tolerance": 1e-5,
    "lr": 1e-2,
    "warmup_steps": 1,
    "save_every": 2,
    "micro_batch_size": 8,
}
ROLLOUT = {"max_new_tokens": 24, "reward_function": "tests.training.reward_for_tests:letter"}


def job(folder: Path, out_dir: Path, processes: int = 1, grpo: dict | None = None, **rollout) -> GrpoJob:
    return GrpoJob(
        settings=TrainingSettings(
            megatron=MegatronSettings(nproc_per_node=processes),
            grpo=GrpoSettings(**(GRPO | (grpo or {}))),
            rollout=RolloutSettings(**(ROLLOUT | rollout)),
        ),
        evaluation=EvaluationSettings(),
        checkpoint=folder / "torch_dist",
        prompts=folder / "prompts.jsonl",
        problems=folder / "problems.jsonl",
        out_dir=out_dir,
    )


def parts(job: GrpoJob) -> tuple[Policy, Rollouts, Trainer]:
    """A run's policy and rollouts, its engine loaded."""
    settings, hf_dir = job.settings, job.checkpoint / "hf"
    architecture = read_architecture(hf_dir)
    trainer = Trainer(architecture, settings.megatron, settings.grpo, 10)
    load_model(trainer.model, job.checkpoint)
    engine = LocalEngine(architecture)
    engine.update_weights(hf_weights(trainer.model, architecture), 0)
    rows = read_prompts(job.prompts)
    cursor = PromptCursor(len(rows), settings.grpo.seed)
    tokenizer = load_tokenizer(hf_dir)
    responder = Responder(tokenizer, engine, letter, settings.grpo, settings.rollout)
    rollouts = Rollouts(rows, cursor, responder, settings.grpo, settings.rollout)
    return Policy(trainer, settings.grpo, settings.rollout, None), rollouts, trainer


def test_seeds_differ_by_seed_step_and_number():
    seeds = {stream_seed(a, b, c) for a in range(3) for b in range(3) for c in range(3)}
    assert len(seeds) == 27
    assert stream_seed(1, 2, 3) == stream_seed(1, 2, 3)


def test_a_steps_samples_do_not_depend_on_the_steps_before(single_process, folder, tmp_path):
    _, rollouts, _ = parts(job(folder, tmp_path))
    rollouts.collect(0, Ranks.alone())
    second = rollouts.collect(1, Ranks.alone())[0]
    _, rollouts, _ = parts(job(folder, tmp_path))
    rollouts._cursor.take(GRPO["prompts_per_step"])
    assert rollouts.collect(1, Ranks.alone())[0] == second


def test_groups_are_the_samples_of_one_prompt(single_process, folder, tmp_path):
    _, rollouts, _ = parts(job(folder, tmp_path))
    collection, seconds = rollouts.collect(0, Ranks.alone())
    assert [len(group.samples) for group in collection.groups] == [4, 4, 4, 4]
    for group in collection.groups:
        assert len({sample.row.label for sample in group.samples}) == 1
        assert len({sample.text for sample in group.samples}) > 1
    assert seconds.generate > 0


def test_shuffled_rewards_are_the_same_rewards_elsewhere(single_process, folder, tmp_path):
    true = parts(job(folder, tmp_path))[1].collect(0, Ranks.alone())[0].samples
    shuffled = (
        parts(job(folder, tmp_path, grpo={"shuffle_rewards": True}))[1].collect(0, Ranks.alone())[0].samples
    )
    assert [sample.text for sample in shuffled] == [sample.text for sample in true]
    values = [[sample.reward.value for sample in samples] for samples in (true, shuffled)]
    assert values[0] != values[1] and sorted(values[0]) == sorted(values[1])


def test_dynamic_sampling_replaces_groups_without_spread(single_process, folder, tmp_path):
    changed = job(folder, tmp_path, grpo={"sampling_rounds": 3}, filter_function="spread")
    _, rollouts, _ = parts(changed)
    rollouts.responder._reward = lambda responses: [
        replace(reward, value=0.0) if response.row.label in few else reward
        for response, reward in zip(responses, letter(responses), strict=True)
    ]
    cursor = PromptCursor(40, 0)
    few = {f"p{index}" for index in cursor.take(2)}
    collection, _ = rollouts.collect(0, Ranks.alone())
    assert collection.rounds > 1 and len(collection.groups) == 4
    assert all(group.has_spread for group in collection.groups)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"aggregation": "sequence_mean"},
        {"aggregation": "constant"},
        {"policy_loss": "gspo", "aggregation": "sequence_mean", "sequence_rejection": (0.99, 1.01)},
        {"policy_loss": "cispo", "clip_low": 1.0, "token_rejection": (0.5, 5.0)},
    ],
)
def test_the_first_update_is_on_policy(single_process, folder, tmp_path, settings):
    policy, rollouts, _ = parts(job(folder, tmp_path, grpo={"minibatches": 2, **settings}))
    first, second = policy.update(rollouts.collect(0, Ranks.alone())[0].samples, 0)
    assert first["ratio"] / first["tokens"] == pytest.approx(1, abs=1e-5)
    assert first["clip_low"] == first["clip_high"] == 0
    assert first["mismatch"] / first["tokens"] < 1e-5
    assert abs(second["ratio"] / second["tokens"] - 1) > 1e-5
    assert not second.get("token_rejected") and not second.get("sequence_rejected")


def test_an_engine_with_other_weights_stops_the_run(single_process, folder, tmp_path):
    policy, rollouts, trainer = parts(job(folder, tmp_path))
    samples = rollouts.collect(0, Ranks.alone())[0].samples
    with torch.no_grad():
        next(trainer.model.parameters()).add_(1e-2)
    with pytest.raises(WarpsmithError, match=r"grpo\.mismatch_tolerance"):
        policy.update(samples, 0)


def test_an_engine_whose_weights_are_no_numbers_stops_the_run(single_process, folder, tmp_path):
    policy, rollouts, trainer = parts(job(folder, tmp_path))
    samples = rollouts.collect(0, Ranks.alone())[0].samples
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    with pytest.raises(WarpsmithError, match=r"differ from the trainer's by nan in the mean"):
        policy.update(samples, 0)
    rollouts.responder.engine.engine.update_weights(policy.weights(), 1)
    with pytest.raises(WarpsmithError, match="the model gives no finite probabilities"):
        rollouts.collect(1, Ranks.alone())


def test_the_learning_rate_follows_the_steps_whether_or_not_they_had_updates(
    single_process, folder, tmp_path
):
    schedule = {"minibatches": 3, "warmup_steps": 0, "decay_fraction": 1.0, "lr": 1e-4}
    policy, rollouts, trainer = parts(job(folder, tmp_path, grpo=schedule))
    samples = rollouts.collect(0, Ranks.alone())[0].samples
    flat = [replace(sample, reward=replace(sample.reward, value=0.5)) for sample in samples]
    first = policy.update(samples, 0)
    assert policy.update(flat, 1) == []
    third = policy.update(samples, 2)
    assert [report["lr"] for report in (*first, *third)] == pytest.approx(
        [1e-4 * (1 - number / 10) for number in (0, 1, 2, 6, 7, 8)]
    )
    assert trainer.scheduler.num_steps == 9


def test_responses_are_sampled_as_the_settings_say(single_process, folder, tmp_path):
    _, rollouts, _ = parts(job(folder, tmp_path, top_p=0.9, top_k=7))
    sampling = rollouts.responder.sampling(3)
    assert (sampling.top_p, sampling.top_k, sampling.seed) == (0.9, 7, 3)
    greedy = parts(job(folder, tmp_path, top_k=1))[1].collect(0, Ranks.alone())[0]
    assert all(len({sample.text for sample in group.samples}) == 1 for group in greedy.groups)


def test_equal_rewards_change_nothing(single_process, folder, tmp_path):
    policy, rollouts, _ = parts(job(folder, tmp_path))
    samples = rollouts.collect(0, Ranks.alone())[0].samples
    flat = [replace(sample, reward=replace(sample.reward, value=0.5)) for sample in samples]
    before = {name: value.clone() for name, value in policy.weights()}
    assert policy.update(flat, 0) == []
    assert all(torch.equal(value, before[name]) for name, value in policy.weights())


def test_a_whole_run_raises_its_reward_and_records_it(folder, tmp_path):
    run = job(folder, tmp_path, grpo={"steps": 12, "samples_per_prompt": 8})
    with one_process():
        train(run)
    history = metrics(tmp_path)
    rewards = [row["reward/mean"] for row in history]
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 0.1
    panel = {
        "train/entropy",
        "train/clip_fraction_low",
        "train/clip_fraction_high",
        "train/ratio",
        "train/grad_norm",
        "train/logprob_difference",
        "rollout/response_length_mean",
        "rollout/response_length_max",
        "rollout/truncated",
        "rollout/zero_spread",
        "rollout/staleness",
        "reward/mean",
        "reward/std",
    }
    assert all(panel <= row.keys() for row in history)
    assert all(row["train/logprob_difference"] < 1e-4 and row["rollout/staleness"] == 0 for row in history)
    samples = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert len(samples) == 12 * 4 * 8
    assert {"step", "problem_id", "reward", "status", "response"} <= samples[0].keys()
    assert weights(tmp_path / "torch_dist").keys() == weights(run.checkpoint).keys()


def test_a_reference_policy_starts_at_no_divergence(single_process, folder, tmp_path):
    train(job(folder, tmp_path, grpo={"steps": 2, "kl_coefficient": 0.1, "minibatches": 1}))
    first, second = (row["train/kl"] for row in metrics(tmp_path))
    assert first == pytest.approx(0, abs=1e-8)
    assert second > 1e-6


def test_prompts_without_room_for_a_response_are_left_out_and_counted(
    single_process, folder, tmp_path, capfd
):
    long = {"prompt": [{"role": "user", "content": "x" * 500}], "label": "long"}
    rows = [row.model_dump() for row in read_prompts(folder / "prompts.jsonl")]
    run = job(folder, tmp_path, grpo={"steps": 1})
    train(run.model_copy(update={"prompts": write_rows(tmp_path / "mixed.jsonl", [*rows, long])}))
    assert "40 prompts (1 too long)" in capfd.readouterr().out
    with pytest.raises(WarpsmithError, match="no prompt leaves room"):
        train(run.model_copy(update={"prompts": write_rows(tmp_path / "long.jsonl", [long])}))


def test_a_bad_problem_file_is_named_with_the_line(tmp_path):
    (tmp_path / "problems.jsonl").write_text("{}\n")
    with pytest.raises(WarpsmithError, match="line 1"):
        read_rows(Problem, tmp_path / "problems.jsonl")


def test_the_inputs_of_kernels_follow_from_the_nights_problems(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    found = [_secret(seed, tmp_path / name) for seed in (0, 1) for name in ("one", "two")]
    assert len(set(found)) == 4
    assert _secret(0, tmp_path / "one") == found[0]
