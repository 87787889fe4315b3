"""What a rollout engine is: requests in, completions with log-probabilities out.

The GRPO loop knows engines only by this protocol, so that the in-process engine of the embedded
default and a fleet of SGLang servers are driven by the same code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from torch import Tensor


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"  #: the model wrote a stop token
    LENGTH = "length"  #: the token limit was reached first: the response is truncated
    ABORT = "abort"  #: the engine was asked to end, or gave up (a lost server); the tokens so far are kept


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample one completion."""

    max_new_tokens: int
    """Upper bound on the completion's length in tokens, the stop token included."""
    seed: int
    """Names the request's own random stream: the same prompt, weights and seed give the same completion."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token."""
    top_p: float = 1.0
    """Sample from the smallest set of tokens with at least this probability; 1 is off."""
    top_k: int = -1
    """Sample from the k likeliest tokens; -1 is off."""
    stop_token_ids: tuple[int, ...] = ()
    """Tokens that end the completion; the token itself is kept as its last."""

    def __post_init__(self) -> None:
        """Refuse values that no engine could honour."""
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, not {self.seed}")
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], not {self.top_p}")
        if self.top_k != -1 and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, or -1 for off, not {self.top_k}")


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled response."""

    token_ids: tuple[int, ...]
    """Response tokens without the prompt; the stop token is the last one if there was one."""
    logprobs: tuple[float, ...]
    """Per token, log-probability under softmax(logits / temperature) over the whole vocabulary, as the
    trainer recomputes it: before `top_p` and `top_k` cut it. At temperature 0, that of temperature 1."""
    finish_reason: FinishReason
    weight_version: int
    """Version of the weights that wrote it, as given to `update_weights`."""


@runtime_checkable
class RolloutEngine(Protocol):
    """Generates completions with weights that the trainer replaces between steps."""

    @property
    def shared(self) -> bool:
        """Whether one fleet serves all ranks: then only rank 0's `generate` does anything, it may be called
        from several threads at once, and `update_weights` is collective, each rank exhausting its tensors.
        Otherwise every rank has an engine of its own."""
        ...

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling]) -> list[Completion]:
        """Sample one completion for each prompt (token ids), in the order given."""
        ...

    def abort(self) -> None:
        """Ask the calls of `generate` that run in other threads to end now.

        Their completions come back with FinishReason.ABORT and the tokens so far. Calls that begin later are
        not concerned, and without a running call nothing happens.
        """
        ...

    def update_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Replace the weights by named tensors (Hugging Face names) and call them `version`."""
        ...

    def lend(self) -> None:
        """Begin to `release`, as far as this rank can alone: nothing is generated before `resume`."""
        ...

    def release(self) -> None:
        """Give up memory that generation needs, so that training can use it."""
        ...

    def resume(self) -> None:
        """Take back what `release` gave up."""
        ...

    def close(self) -> None:
        """Stop for good; the engine is not used again."""
        ...
