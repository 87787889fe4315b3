"""Token sequences to train on, as the tensors of one forward pass.

A minibatch is what one optimizer step sees. Its sequences travel in micro-batches, in one of two layouts:

* padded: B sequences in B rows, right-padded to the longest. With a causal mask no real token sees the
  padding after it.
* packed: all sequences one after another in a single row, without padding; attention keeps them apart by
  their boundaries, and positions restart with each.

How a minibatch is divided over ranks and micro-batches is in balance.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats: TypeAlias = tuple[float, ...] | NDArray[np.float32]
#: Names of the policies whose log-probabilities an example carries.
OLD, ROLLOUT, REFERENCE = "old", "rollout", "reference"


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its response, with what the loss needs to know about them."""

    prompt: tuple[int, ...]
    """Token ids; they are read, not learnt."""
    response: tuple[int, ...]
    """Token ids, the end of the turn included."""
    advantage: float = 0.0
    """GRPO: how much better the response is than its group's others."""
    logprobs: dict[str, Floats] | None = None
    """GRPO: one log-probability per learnt token, by the name of the policy that they come from."""
    mask: tuple[bool, ...] = ()
    """Which response tokens are learnt: not those that tools or users wrote in between. Empty means all."""

    @property
    def learnt(self) -> int:
        """Response tokens that the loss counts."""
        return sum(self.mask) if self.mask else len(self.response)

    @property
    def length(self) -> int:
        """Tokens of prompt and response."""
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the sequences of a packed row lie."""

    boundaries: Tensor
    """int32 [n + 1]: the position at which each sequence starts, and the row's end."""
    longest: int
    """Positions of the longest sequence."""
    positions: Tensor
    """int64 [S]: how far each token is from the start of its own sequence."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the loss knows of tokens that are predicted: N of them, in any order."""

    labels: Tensor
    """int64 [N]: the token to predict."""
    mask: Tensor
    """bool [N]: whether it is learnt: a response token that the model wrote."""
    advantages: Tensor
    """float32 [N]: the advantage of its sequence."""
    response_lengths: Tensor
    """float32 [N]: learnt tokens of its sequence."""
    sequences: Tensor
    """int64 [N]: the number of its sequence in the micro-batch."""
    logprobs: dict[str, Tensor]
    """float32 [N] by policy; 0 outside the mask."""
    sequence_means: dict[str, Tensor] = field(default_factory=dict)
    """float32 [N]: what a loss wants of its whole sequence (`training.objective.ratios`)."""

    def select(self, index: Tensor | slice) -> Tokens:
        """Those tokens that `index` names, in its order."""
        return Tokens(
            labels=self.labels[index],
            mask=self.mask[index],
            advantages=self.advantages[index],
            response_lengths=self.response_lengths[index],
            sequences=self.sequences[index],
            logprobs={policy: values[index] for policy, values in self.logprobs.items()},
            sequence_means={name: values[index] for name, values in self.sequence_means.items()},
        )


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """The sequences of one forward pass: B rows, of each of which S positions are predicted."""

    inputs: Tensor
    """int64 [B, S]: of every sequence all tokens but the last."""
    labels: Tensor
    """int64 [B, S]: of every sequence all tokens but the first."""
    mask: Tensor
    """bool [B, S]: whether the label is learnt."""
    advantages: Tensor
    """float32 [B, S]: the advantage of the sequence that the position belongs to."""
    response_lengths: Tensor
    """float32 [B, S]: learnt tokens of the sequence that the position belongs to; 1 in padding."""
    sequences: Tensor
    """int64 [B, S]: the number of the sequence that the position belongs to; 0 in padding."""
    logprobs: dict[str, Tensor]
    """float32 [B, S] by policy; 0 outside the mask."""
    lengths: tuple[int, ...]
    """Learnt tokens of each sequence."""
    responses: Tensor
    """int64 [sum of lengths]: where learnt tokens are in `tokens()`, sequence by sequence."""
    packing: Packing | None = None
    """Where the sequences lie if they are packed into one row; none if they are padded."""

    def tokens(self) -> Tokens:
        """All B * S positions in the order of Megatron's hidden states [S, B, H]."""
        return Tokens(
            labels=_position_major(self.labels),
            mask=_position_major(self.mask),
            advantages=_position_major(self.advantages),
            response_lengths=_position_major(self.response_lengths),
            sequences=_position_major(self.sequences),
            logprobs={policy: _position_major(values) for policy, values in self.logprobs.items()},
        )


def _position_major(values: Tensor) -> Tensor:
    """From [B, S] to [S * B]."""
    return values.t().reshape(-1)


def collate(
    examples: Sequence[Example], device: torch.device | str = "cpu", *, multiple_of: int = 1
) -> MicroBatch:
    """Pad examples to their longest, rounded up to a multiple of `multiple_of` positions.

    They must all carry log-probabilities of the same policies.
    """
    width = _round_up(max(example.length for example in examples) - 1, multiple_of)
    starts = [(row, 0) for row in range(len(examples))]
    return _place(examples, starts, (len(examples), width), torch.device(device))


def pack(
    examples: Sequence[Example], device: torch.device | str = "cpu", *, multiple_of: int = 1
) -> MicroBatch:
    """Lay examples one after another in a single row.

    The row is rounded up to a multiple of `multiple_of` positions by a sequence of padding. The examples must
    all carry log-probabilities of the same policies.
    """
    ends = list(accumulate(example.length - 1 for example in examples))
    width = _round_up(ends[-1], multiple_of)
    starts = [(0, column) for column in [0, *ends[:-1]]]
    boundaries = sorted({0, *ends, width})
    lengths = [end - start for start, end in pairwise(boundaries)]
    packing = Packing(
        boundaries=_on(torch.tensor(boundaries, dtype=torch.int32), torch.device(device)),
        longest=max(lengths),
        positions=_on(torch.cat([torch.arange(length) for length in lengths]), torch.device(device)),
    )
    return _place(examples, starts, (1, width), torch.device(device), packing)


def _round_up(size: int, multiple_of: int) -> int:
    return -(-max(size, 1) // multiple_of) * multiple_of


def _place(
    examples: Sequence[Example],
    starts: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    device: torch.device,
    packing: Packing | None = None,
) -> MicroBatch:
    """Write each example's positions from its (row, column) on, on the CPU, and move everything once."""
    inputs, labels = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    mask = torch.zeros(shape, dtype=torch.bool)
    advantages, response_lengths = torch.zeros(shape), torch.ones(shape)
    sequences = torch.zeros(shape, dtype=torch.int64)
    logprobs = {policy: torch.zeros(shape) for policy in examples[0].logprobs or {}}
    responses = []
    for number, (example, (row, start)) in enumerate(zip(examples, starts, strict=True)):
        tokens = torch.tensor(example.prompt + example.response)
        end = start + len(tokens) - 1
        learnt = torch.arange(end - len(example.response), end)
        if example.mask:
            learnt = learnt[torch.tensor(example.mask)]
        inputs[row, start:end] = tokens[:-1]
        labels[row, start:end] = tokens[1:]
        mask[row, learnt] = True
        advantages[row, start:end] = example.advantage
        response_lengths[row, start:end] = example.learnt
        sequences[row, start:end] = number
        for policy, values in (example.logprobs or {}).items():
            logprobs[policy][row, learnt] = torch.tensor(values)
        responses.append(learnt * shape[0] + row)
    return MicroBatch(
        inputs=_on(inputs, device),
        labels=_on(labels, device),
        mask=_on(mask, device),
        advantages=_on(advantages, device),
        response_lengths=_on(response_lengths, device),
        sequences=_on(sequences, device),
        logprobs={policy: _on(values, device) for policy, values in logprobs.items()},
        lengths=tuple(example.learnt for example in examples),
        responses=_on(torch.cat(responses), device),
        packing=packing,
    )


def _on(values: Tensor, device: torch.device) -> Tensor:
    """`values` on `device`; towards a GPU without waiting for it."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
