"""Megatron's optimizer takes the steps that plain PyTorch takes on transformers' model."""

from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.training.parallel import LAYOUTS, results
from tests.training.tiny import qwen3, random_examples
from training.architecture import read_architecture
from training.batch import chunks, collate, divide
from training.config import GrpoSettings, MegatronSettings, SftSettings
from training.conversion import open_hf_weights
from training.logits import label_logprobs
from training.losses import loss_normalizer, policy_loss
from training.trainer import Trainer
from training.weights import load_hf_weights

STEPS = 3


@cache
def reference() -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """The worker's steps by transformers and AdamW; like Megatron, without weight decay on norms."""
    model = qwen3().train()
    batch = collate(random_examples(13))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    norms = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    steps = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = model(batch.inputs).logits
        loss = torch.nn.functional.cross_entropy(logits[batch.mask], batch.labels[batch.mask])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps.append({"loss": loss.item(), "grad_norm": norm.item()})
    return steps, model.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_loss_and_gradient_norm_are_transformers(layout):
    for step, expected in zip(results(*layout)["steps"], reference()[0], strict=True):
        assert step["loss"] == pytest.approx(expected["loss"], abs=2e-6)
        assert step["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-4)
        assert step["lr"] == pytest.approx(1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_after_some_steps_are_transformers(layout):
    trained, expected = results(*layout)["trained"], reference()[1]
    for name, value in trained.items():
        torch.testing.assert_close(value, expected[name], atol=2e-5, rtol=0, msg=name)


def build(hf_dir: Path, **changes) -> Trainer:
    architecture = read_architecture(hf_dir)
    settings = SftSettings(lr=1e-3, warmup_steps=1, decay_fraction=0.0, **changes)
    trainer = Trainer(architecture, MegatronSettings(nproc_per_node=1), settings, STEPS)
    with ExitStack() as files:
        load_hf_weights(trainer.model, architecture, open_hf_weights(hf_dir, architecture, files))
    return trainer


def gradients(trainer, examples, loss) -> dict[str, torch.Tensor]:
    """Gradients as the optimizer sees them before clipping."""
    trainer.step(examples, loss)
    return {name: p.main_grad.clone() for name, p in trainer.model.named_parameters()}


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "constant"])
def test_policy_gradients_do_not_depend_on_the_micro_batches(single_process, hf_dir, aggregation):
    settings = GrpoSettings(aggregation=aggregation)
    examples = [
        replace(example, advantage=(-1.0) ** i, logprobs={"old": tuple(-4.0 for _ in example.response)})
        for i, example in enumerate(random_examples(9))
    ]
    normalizer = loss_normalizer([len(e.response) for e in examples], settings.aggregation, 30)

    def loss(logits, batch):
        logprobs = label_logprobs(logits, batch.labels)
        return policy_loss(
            logprobs, batch.logprobs["old"], batch.advantages, batch.mask, settings, normalizer=normalizer
        )

    whole = gradients(build(hf_dir, micro_batch_size=9, clip_grad=0.0), examples, loss)
    for size in (1, 4):
        split = gradients(build(hf_dir, micro_batch_size=size, clip_grad=0.0), examples, loss)
        for name, value in whole.items():
            torch.testing.assert_close(split[name], value, atol=1e-6, rtol=1e-4, msg=name)


def test_the_learning_rate_warms_up_stays_and_decays(single_process, hf_dir):
    settings = SftSettings(lr=1.0, warmup_steps=4, decay_fraction=0.5)
    trainer = Trainer(read_architecture(hf_dir), MegatronSettings(nproc_per_node=1), settings, 12)
    rates = []
    for _ in range(12):
        trainer.scheduler.step(1)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[4:7] == pytest.approx([1.0, 1.0, 1.0])
    assert rates[6:] == pytest.approx([(12 - i) / 6 for i in range(6, 12)])


def test_ranks_share_the_work_evenly_and_completely():
    lengths = [5, 1, 9, 7, 3, 8, 2]
    shares = divide(lengths, 3)
    assert sorted(index for share in shares for index in share) == list(range(7))
    work = [sum(lengths[index] for index in share) for share in shares]
    assert max(work) - min(work) <= max(lengths)
    assert all(lengths[a] >= lengths[b] for share in shares for a, b in pairwise(share))


def test_chunks_keep_the_order():
    assert chunks([4, 2, 5], 2) == [[4, 2], [5]]


def test_only_response_tokens_are_learnt():
    examples = random_examples(5)
    batch = collate(examples)
    for row, example in enumerate(examples):
        assert batch.labels[row][batch.mask[row]].tolist() == list(example.response)
        assert batch.inputs[row, : example.length - 1].tolist() == [*example.prompt, *example.response][:-1]
