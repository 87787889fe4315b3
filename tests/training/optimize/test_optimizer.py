"""The learning-rate schedule, and the step that replaces Megatron's on a GPU."""

import math

import pytest
import torch

from tests.training.tiny import load_hf_weights, random_examples
from training.objective.losses import sft_loss
from training.optimize.optimizer import fuse
from training.optimize.trainer import Trainer
from training.settings.architecture import read_architecture
from training.settings.jobs import MegatronSettings
from training.settings.optimization import LrDecayStyle, SftSettings

STEPS = 4


def build(hf_dir, steps=STEPS, **changes) -> Trainer:
    settings = SftSettings(
        **({"lr": 1e-2, "warmup_steps": 1, "decay_fraction": 0.0, "micro_batch_size": 8} | changes)
    )
    return Trainer(read_architecture(hf_dir), MegatronSettings(nproc_per_node=1), settings, steps)


def rates(trainer, steps) -> list[float]:
    found = []
    for _ in range(steps):
        trainer.scheduler.step(1)
        found.append(trainer.optimizer.param_groups[0]["lr"])
    return found


def test_the_learning_rate_warms_up_stays_and_decays(single_process, hf_dir):
    found = rates(build(hf_dir, 12, lr=1.0, warmup_steps=4, decay_fraction=0.5), 12)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:7] == pytest.approx([1.0, 1.0, 1.0])
    assert found[6:] == pytest.approx([(12 - i) / 6 for i in range(6, 12)])


def test_the_cosine_falls_from_the_end_of_the_warm_up_towards_the_least_rate(single_process, hf_dir):
    cosine = {"decay_fraction": 1.0, "lr_decay_style": LrDecayStyle.COSINE}
    found = rates(build(hf_dir, 10, lr=1.0, min_lr=0.1, warmup_steps=2, **cosine), 10)
    decays = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert found == pytest.approx([0.5, 1.0, *decays])


def test_the_schedule_goes_by_its_own_count_of_steps(single_process, hf_dir):
    settings = {"lr": 1.0, "warmup_steps": 1, "decay_fraction": 1.0}
    every, some = build(hf_dir, 12, **settings), build(hf_dir, 12, **settings)
    expected = rates(every, 12)
    for step in (0, 4, 11):
        some.skip_to(step)
        assert rates(some, 1) == [expected[step]]


@pytest.mark.parametrize("clip_grad", [0.0, 0.05, 1e9])
def test_the_fused_step_is_megatrons(single_process, hf_dir, clip_grad):
    examples = random_examples(6)
    tokens = sum(len(example.response) for example in examples)
    results = []
    for fused in (False, True):
        trainer = build(hf_dir, clip_grad=clip_grad)
        load_hf_weights(trainer.model, hf_dir)
        if fused:
            fuse(trainer.optimizer)
        steps = [
            trainer.step(examples, lambda logprobs, _, t: sft_loss(logprobs, t.mask, normalizer=tokens))
            for _ in range(STEPS)
        ]
        results.append((steps, [p.detach().clone() for p in trainer.model.parameters()]))
    (plain, weights), (fused_steps, fused_weights) = results
    for one, other in zip(plain, fused_steps, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
    for one, other in zip(weights, fused_weights, strict=True):
        torch.testing.assert_close(other, one, atol=2e-5, rtol=0)
