"""Token sequences to train on, and how a minibatch is divided over ranks and micro-batches.

A minibatch is what one optimizer step sees. All data-parallel ranks hold it whole (it is small beside the
model) and take their part by the same rule, so that nothing about it has to be communicated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its response, with what the loss needs to know about them."""

    prompt: tuple[int, ...]
    """Token ids; they are read, not learnt."""
    response: tuple[int, ...]
    """Token ids, the end of the turn included."""
    advantage: float = 0.0
    """GRPO: how much better the response is than its group's others."""
    logprobs: dict[str, tuple[float, ...]] | None = None
    """GRPO: one log-probability per response token, by the name of the policy that they come from."""

    @property
    def length(self) -> int:
        """Tokens of prompt and response."""
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Right-padded sequences for one forward pass: B sequences of which S positions are predicted."""

    inputs: Tensor
    """int64 [B, S]: all tokens but the last."""
    labels: Tensor
    """int64 [B, S]: all tokens but the first."""
    mask: Tensor
    """bool [B, S]: whether the label is a response token."""
    advantages: Tensor
    """float32 [B]."""
    logprobs: dict[str, Tensor]
    """float32 [B, S] by policy; 0 outside the mask."""
    lengths: tuple[int, ...]
    """Response tokens of each sequence."""


def collate(examples: Sequence[Example], device: torch.device | str = "cpu") -> MicroBatch:
    """Pad examples to their longest. They must all carry log-probabilities of the same policies."""
    width = max(example.length for example in examples)
    tokens = torch.zeros(len(examples), width, dtype=torch.int64)
    mask = torch.zeros(len(examples), width, dtype=torch.bool)
    policies = examples[0].logprobs or {}
    logprobs = {policy: torch.zeros(len(examples), width) for policy in policies}
    for row, example in enumerate(examples):
        start, end = len(example.prompt), example.length
        tokens[row, :end] = torch.tensor(example.prompt + example.response)
        mask[row, start:end] = True
        for policy, values in (example.logprobs or {}).items():
            logprobs[policy][row, start:end] = torch.tensor(values)
    return MicroBatch(
        inputs=tokens[:, :-1].to(device),
        labels=tokens[:, 1:].to(device),
        mask=mask[:, 1:].to(device),
        advantages=torch.tensor([example.advantage for example in examples], device=device),
        logprobs={policy: values[:, 1:].to(device) for policy, values in logprobs.items()},
        lengths=tuple(len(example.response) for example in examples),
    )


def divide(lengths: Sequence[int], ranks: int) -> list[list[int]]:
    """Deal indices to ranks, longest first and back and forth, so that all get about the same work.

    Each rank's indices are in order of falling length, so that consecutive ones make micro-batches with
    little padding.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    shares: list[list[int]] = [[] for _ in range(ranks)]
    for turn, index in enumerate(order):
        lap, seat = divmod(turn, ranks)
        shares[seat if lap % 2 == 0 else ranks - 1 - seat].append(index)
    return shares


def chunks(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    """Split indices into consecutive pieces of at most `size`."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]
