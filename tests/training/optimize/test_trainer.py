"""Megatron's optimizer takes the steps that plain PyTorch takes on transformers' model."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from evaluation.errors import WarpsmithError
from tests.training.parallel import LAYOUTS, LORA, MODES, results
from tests.training.parallel_worker import DISTRIBUTED, LORA_DISTRIBUTED, POLICY, TEMPERATURE, policy_examples
from tests.training.tiny import load_hf_weights, qwen3, random_examples
from training.objective.batch import collate
from training.objective.losses import loss_normalizer, policy_loss, sft_loss
from training.optimize.trainer import Trainer
from training.settings.architecture import read_architecture
from training.settings.jobs import MegatronSettings
from training.settings.optimization import GrpoSettings, SftSettings

pytestmark = pytest.mark.xdist_group("parallel")  # one worker computes the results for all

STEPS = 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", [DISTRIBUTED, LORA_DISTRIBUTED])
def test_a_distributed_optimizer_goes_on_from_a_snapshot_bit_for_bit(mode):
    straight, restored = results(1, 1, 2, mode)["next"]
    assert restored == straight


@pytest.mark.slow
@pytest.mark.parametrize("layout", MODES)
def test_scores_do_not_depend_on_how_they_are_computed(layout):
    expected = results(1, 1, 1)["logprobs"]
    for got, wanted in zip(results(*layout)["logprobs"], expected, strict=True):
        assert got == pytest.approx(wanted, abs=1e-5)


@cache
def reference() -> tuple[list[dict[str, float]], dict[str, torch.Tensor], dict[str, float]]:
    """The worker's steps by transformers and AdamW; like Megatron, without weight decay on norms.

    Reports, the weights after them, and what the policy's loss is then."""
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
    optimizer.zero_grad()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    return steps, weights, policy_reference(model)


def policy_reference(model: torch.nn.Module) -> dict[str, float]:
    """GRPO's loss as the papers write it, sequence by sequence, and the norm of its gradient."""
    examples, losses = policy_examples(), []
    divergence, clipped = 0.0, 0
    for example in examples:
        ids = torch.tensor([example.prompt + example.response])
        every = torch.log_softmax(model(ids[:, :-1]).logits[0] / TEMPERATURE, -1)
        own = every.gather(-1, ids[0, 1:, None])[len(example.prompt) - 1 :, 0]
        old, engine, start = (
            torch.tensor(example.logprobs[name]) for name in ("old", "rollout", "reference")
        )
        ratio, gain = (own - old).exp(), example.advantage
        low, high = 1 - POLICY.clip_low, 1 + POLICY.clip_high
        token = -torch.minimum(gain * ratio, gain * ratio.clip(low, high))
        token = token * (old - engine).exp().clip(max=POLICY.importance_cap)
        kl = (start - own).exp() - 1 - (start - own)
        losses.append((token + POLICY.kl_coefficient * kl).mean())
        divergence += kl.sum().item()
        clipped += int((ratio > high).sum()) if gain > 0 else int((ratio < low).sum())
    loss = torch.stack(losses).mean()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return {"loss": loss.item(), "grad_norm": norm.item(), "kl": divergence, "clipped": clipped}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS + MODES)
def test_loss_and_gradient_norm_are_transformers(layout):
    for step, expected in zip(results(*layout)["steps"], reference()[0], strict=True):
        assert step["loss"] == pytest.approx(expected["loss"], abs=2e-6)
        assert step["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-4)
        assert step["lr"] == pytest.approx(1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS + MODES)
def test_weights_after_some_steps_are_transformers(layout):
    trained, expected = results(*layout)["trained"], reference()[1]
    for name, value in trained.items():
        torch.testing.assert_close(value, expected[name], atol=2e-5, rtol=0, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS + MODES)
def test_the_policys_loss_and_gradient_are_the_papers(layout):
    """Over TP, PP and DP, padded and packed."""
    report, expected = results(*layout)["policy"], reference()[2]
    assert report["loss"] == pytest.approx(expected["loss"], abs=5e-6)
    assert report["grad_norm"] == pytest.approx(expected["grad_norm"], rel=2e-4)
    assert report["kl"] == pytest.approx(expected["kl"], rel=1e-4)
    assert report["clip_low"] + report["clip_high"] == expected["clipped"] > 0
    assert report["tokens"] == sum(len(example.response) for example in policy_examples())


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS + MODES)
def test_a_loss_by_sequence_does_not_depend_on_how_it_is_computed(layout):
    """GSPO with rejection, over TP, PP and DP, padded and packed."""
    report, expected = results(*layout)["by_sequence"], results(1, 1, 1)["by_sequence"]
    assert 0 < report["token_rejected"] < report["tokens"]
    assert 0 < report["sequence_rejected"] < report["sequences"] == pytest.approx(len(policy_examples()))
    assert report == pytest.approx(expected, rel=2e-4, abs=5e-6)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LORA[1:])
def test_adapters_are_trained_alike_at_all_parallel_sizes(layout):
    """One process is compared with PEFT in test_lora."""
    got, expected = results(*layout), results(1, 1, 1, "lora")
    for step, wanted in zip(got["steps"], expected["steps"], strict=True):
        assert step["loss"] == pytest.approx(wanted["loss"], abs=2e-6)
        assert step["grad_norm"] == pytest.approx(wanted["grad_norm"], rel=2e-4)
    changed = 0
    for name, value in got["trained"].items():
        torch.testing.assert_close(value, expected["trained"][name], atol=2e-5, rtol=0, msg=name)
        changed += not torch.equal(value, got["loaded"][name])
    assert changed == 3 * 7  # the linear layers and nothing else
    assert len(got["adapters"]) == 2 * changed
    for name, value in got["adapters"].items():
        torch.testing.assert_close(value, expected["adapters"][name], atol=2e-5, rtol=0, msg=name)
    assert got["by_sequence"] == pytest.approx(expected["by_sequence"], rel=1e-3, abs=5e-6)


def build(hf_dir: Path, megatron: MegatronSettings | None = None, **changes) -> Trainer:
    architecture = read_architecture(hf_dir)
    given = {"lr": 1e-3, "warmup_steps": 1, "decay_fraction": 0.0, "micro_batch_size": 16} | changes
    settings = SftSettings(**given)
    trainer = Trainer(architecture, megatron or MegatronSettings(nproc_per_node=1), settings, STEPS)
    load_hf_weights(trainer.model, hf_dir)
    return trainer


def sft_step(trainer, examples) -> dict[str, float]:
    tokens = sum(len(example.response) for example in examples)
    return trainer.step(examples, lambda logprobs, _, t: sft_loss(logprobs, t.mask, normalizer=tokens))


def test_a_step_that_spoils_the_weights_ends_the_run(single_process, hf_dir):
    trainer = build(hf_dir)
    sft_step(trainer, random_examples(3))
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    with pytest.raises(WarpsmithError, match="the loss of optimizer step 2 is nan; lower the learning rate"):
        sft_step(trainer, random_examples(3))


def test_gradients_that_overlap_are_the_same_whatever_the_number_of_micro_batches(single_process, hf_dir):
    """Megatron counts the gradients of the first step; later ones may have more micro-batches, or fewer."""
    reports = []
    for overlap in (False, True):
        trainer = build(hf_dir, MegatronSettings(nproc_per_node=1, overlap_grad_reduce=overlap))
        reports.append([sft_step(trainer, random_examples(count)) for count in (40, 5, 60)])
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"recompute_granularity": "full"}, 'recompute_method must be "block" or "uniform"'),
        ({"recompute_granularity": "full", "recompute_method": "block"}, "recompute_num_layers must be"),
    ],
)
def test_what_megatron_refuses_is_one_sentence(single_process, hf_dir, fields, complaint):
    with pytest.raises(WarpsmithError, match="megatron settings: ") as caught:
        build(hf_dir, MegatronSettings(nproc_per_node=1, **fields))
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


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

    def loss(logprobs, _entropies, tokens):
        return policy_loss(
            logprobs, tokens.logprobs["old"], tokens.advantages, tokens.mask, settings,
            normalizer=normalizer, response_lengths=tokens.response_lengths,
        )  # fmt: skip

    whole = gradients(build(hf_dir, micro_batch_size=9, clip_grad=0.0), examples, loss)
    for size in (1, 4):
        split = gradients(build(hf_dir, micro_batch_size=size, clip_grad=0.0), examples, loss)
        for name, value in whole.items():
            torch.testing.assert_close(split[name], value, atol=1e-6, rtol=1e-4, msg=name)
