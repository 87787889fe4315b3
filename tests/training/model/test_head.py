"""The head gives the same losses, gradients and scores in one piece and in many."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.training.tiny import random_examples
from training.model.head import Head
from training.model.logits import fused_statistics, label_entropy, label_logprobs
from training.model.vocabulary import mask_padding
from training.objective.batch import collate, pack
from training.objective.losses import policy_loss
from training.objective.ratios import with_sequence_means
from training.settings.optimization import Aggregation, GrpoSettings, PolicyLoss

VOCABULARY, HIDDEN = 96, 12


class OneMatrix:
    """What the head wants of a model: the output layer's weights."""

    def __init__(self, rows: int = VOCABULARY) -> None:
        self.weight = draw(rows, HIDDEN, seed=1).requires_grad_()

    def head_weight(self) -> torch.Tensor:
        return self.weight


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def minibatch():
    return [
        replace(example, advantage=1.5 - index, logprobs={"old": (-4.5,) * len(example.response)})
        for index, example in enumerate(random_examples(6))
    ]


PPO = GrpoSettings(aggregation=Aggregation.SEQUENCE_MEAN)
GSPO = PPO.model_copy(update={"policy_loss": PolicyLoss.GSPO})


def loss(logprobs, entropies, tokens, settings=PPO):
    return policy_loss(
        logprobs,
        tokens.logprobs["old"],
        tokens.advantages,
        tokens.mask,
        settings,
        normalizer=6.0,
        response_lengths=tokens.response_lengths,
        entropies=entropies,
        sequence_means=tokens.sequence_means,
    )


def run(head, lay_out, model, settings=PPO):
    """Loss, metrics and gradients of a micro-batch with made-up hidden states, and scores."""
    batch = lay_out(minibatch())
    rows, width = batch.inputs.shape
    hidden = draw(width, rows, HIDDEN).requires_grad_()
    prepare = with_sequence_means if settings.needs_whole_sequences else None
    output = head.loss(model, hidden, batch, partial(loss, settings=settings), 0.7, prepare)
    gradients = torch.autograd.grad(output.loss * 3, [hidden, model.weight])
    return output.loss.detach(), output.metrics, gradients, head.logprobs(model, hidden, batch, 0.7)


@pytest.mark.parametrize("lay_out", [collate, pack])
@pytest.mark.parametrize("most_tokens", [40, 7, 1])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("settings", [PPO, GSPO])
def test_pieces_add_up_to_the_whole(single_process, lay_out, most_tokens, fused, settings):
    whole = run(Head(VOCABULARY, 2**30, fused=False), lay_out, OneMatrix(), settings)
    pieces = run(Head(VOCABULARY, most_tokens * VOCABULARY, fused), lay_out, OneMatrix(), settings)
    torch.testing.assert_close(pieces[0], whole[0])
    assert {name: value.item() for name, value in pieces[1].items()} == pytest.approx(
        {name: value.item() for name, value in whole[1].items()}, rel=1e-4
    )
    for got, expected in zip(pieces[2], whole[2], strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(pieces[3], whole[3])


def test_the_whole_is_what_autograd_makes_of_the_formula(single_process):
    model, batch = OneMatrix(), collate(minibatch())
    hidden = draw(batch.inputs.size(1), 6, HIDDEN).requires_grad_()
    logprobs = torch.log_softmax(hidden @ model.weight.t() / 0.7, -1).transpose(0, 1)
    logprobs = logprobs.gather(-1, batch.labels[..., None])[..., 0]
    expected = policy_loss(
        logprobs,
        batch.logprobs["old"],
        batch.advantages,
        batch.mask,
        GrpoSettings(aggregation=Aggregation.SEQUENCE_MEAN),
        normalizer=6.0,
        response_lengths=batch.response_lengths,
    )
    output = Head(VOCABULARY, 10 * VOCABULARY, fused=False).loss(model, hidden, batch, loss, 0.7)
    torch.testing.assert_close(output.loss, expected.loss)
    wanted = torch.autograd.grad(expected.loss, [hidden, model.weight])
    for got, one in zip(torch.autograd.grad(output.loss, [hidden, model.weight]), wanted, strict=True):
        torch.testing.assert_close(got, one, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("fused", [False, True])
def test_padding_of_the_vocabulary_changes_nothing(single_process, fused):
    padded = OneMatrix(VOCABULARY + 32)
    with torch.no_grad():
        padded.weight[:VOCABULARY] = OneMatrix().weight
    plain = run(Head(VOCABULARY, 20 * VOCABULARY, fused), pack, OneMatrix())
    got = run(Head(VOCABULARY, 20 * VOCABULARY, fused), pack, padded)
    torch.testing.assert_close(got[0], plain[0])
    torch.testing.assert_close(got[1]["entropy"], plain[1]["entropy"])
    torch.testing.assert_close(got[2][1][:VOCABULARY], plain[2][1])
    assert not got[2][1][VOCABULARY:].any()


@pytest.mark.parametrize("temperature", [0.1, 1.0, 1.7])
def test_fused_statistics_are_log_softmaxs(single_process, temperature):
    logits = mask_padding(4 * draw(50, VOCABULARY), VOCABULARY - 8).requires_grad_()
    labels = torch.randint(VOCABULARY - 8, (50,), generator=torch.Generator().manual_seed(2))
    logprobs, entropies = fused_statistics(logits, labels, temperature)
    expected = label_logprobs(logits, labels, temperature)
    torch.testing.assert_close(logprobs, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropies, label_entropy(logits, temperature), atol=1e-5, rtol=1e-4)
    direction = draw(50, seed=3)
    got, wanted = (torch.autograd.grad(x, logits, direction)[0] for x in (logprobs, expected))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_the_weights_gradient_reaches_megatrons_buffer_unrounded(single_process):
    """What two micro-batches add up to in float32; rounding each to bfloat16 on the way shows."""
    model, batch = OneMatrix(), collate(minibatch())
    model.weight = model.weight.detach().bfloat16().requires_grad_()
    hidden = draw(batch.inputs.size(1), 6, HIDDEN).bfloat16().requires_grad_()
    head = Head(VOCABULARY, 7 * VOCABULARY, fused=False)
    plain = torch.autograd.grad(head.loss(model, hidden, batch, loss, 0.7).loss, model.weight)[0]
    buffer = model.weight.main_grad = torch.zeros_like(model.weight, dtype=torch.float32)
    for _ in range(2):
        (head.loss(model, hidden, batch, loss, 0.7).loss * 0.5).backward()
    assert not model.weight.grad.any()  # nothing is left for Megatron to add
    torch.testing.assert_close(buffer, plain.float(), atol=1e-4, rtol=1e-2)
    assert (buffer != plain.float()).float().mean() > 0.5
