"""What is said to an SGLang server and how its answers are read: plain values, no network.

A request that the server would refuse, cut short without saying so, or die of (a token id beyond the
vocabulary) is found here, before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from evaluation.errors import WarpsmithError
from training.rollout.engine import Completion, FinishReason, Sampling

#: Version that a server without real weights gives itself; no completion may carry it.
NO_WEIGHTS = "none"


class MalformedAnswer(Exception):
    """The server's answer is not what the protocol says."""


class ServerInfo(BaseModel):
    """The part of GET /server_info that we use."""

    model_config = ConfigDict(frozen=True)

    version: str
    """SGLang's release."""
    device: str
    """`cuda` or `cpu`."""
    dtype: str
    """Type of the weights; `auto` takes the checkpoint's."""
    tp_size: int
    """GPUs that share the model."""
    page_size: int = 1
    """Tokens in one page of the KV cache."""
    max_total_num_tokens: int
    """Tokens in the KV cache."""
    max_req_input_len: int
    """Prompts of this many tokens and more are refused."""
    quantization: str | None = None
    """How weights are quantised, if they are."""
    enable_deterministic_inference: bool = False
    """Whether the seeds of requests are honoured; only some attention kernels for GPUs can."""

    @property
    def longest(self) -> int:
        """Most tokens, prompt and response together, that one request gets without being cut short.

        SGLang keeps one position of the context (`max_req_input_len` + 5 tokens) and the last page of the
        cache free, and shortens `max_new_tokens` without a word where a request needs them.
        """
        return min(self.max_req_input_len + 4, self.max_total_num_tokens - 2 * self.page_size)

    def weight_dtype(self, checkpoint: str) -> torch.dtype:
        """Type of the weights, for a checkpoint of type `checkpoint`.

        Raises:
            WarpsmithError: the server names one that is none.
        """
        automatic = "float16" if checkpoint == "float32" else checkpoint
        name = {"auto": automatic, "half": "float16", "float": "float32"}.get(self.dtype, self.dtype)
        dtype = getattr(torch, name, None)
        if not isinstance(dtype, torch.dtype):
            raise WarpsmithError(
                f"an SGLang server has weights of type {self.dtype}, which torch lacks; set sglang.dtype"
            )
        return dtype


class _Meta(BaseModel):
    """The part of an answer's `meta_info` that we use."""

    finish_reason: dict[str, Any]
    weight_version: str
    output_token_logprobs: list[tuple[float, int, str | None]] | None = None


class _Answer(BaseModel):
    """One completion as the server gives it."""

    output_ids: list[int]
    meta_info: _Meta


_ANSWERS = TypeAdapter(list[_Answer])


@dataclass(frozen=True)
class Limits:
    """What a request must keep to: the vocabulary of the model, the lengths of the server."""

    vocab_size: int
    longest: int
    longest_prompt: int

    @classmethod
    def of(cls, info: ServerInfo, vocab_size: int, max_positions: int) -> Limits:
        """The limits of a server that serves a model of `vocab_size` tokens and `max_positions`."""
        return cls(vocab_size, min(info.longest, max_positions), info.max_req_input_len - 1)

    def check(self, prompt: Sequence[int], sampling: Sampling) -> None:
        """Raise WarpsmithError for a request that the server could not answer in full."""
        if not prompt:
            raise WarpsmithError("a prompt is empty; every prompt needs at least one token")
        if not 0 <= min(prompt) <= max(prompt) < self.vocab_size:
            raise WarpsmithError(
                f"a prompt has token ids outside 0..{self.vocab_size - 1}; use the model's own tokenizer"
            )
        if len(prompt) > self.longest_prompt or len(prompt) + sampling.max_new_tokens > self.longest:
            raise WarpsmithError(
                f"a prompt of {len(prompt)} tokens and {sampling.max_new_tokens} new ones exceed the SGLang "
                f"server's {self.longest}; lower rollout.max_new_tokens, or raise sglang.context_length and "
                "sglang.max_total_tokens"
            )


@dataclass(frozen=True)
class Request:
    """A completion to be sampled, with the part of it that exists already."""

    prompt: tuple[int, ...]
    sampling: Sampling
    seeded: bool = False
    """Whether the seed is sent along."""
    begun: Completion | None = None
    """Tokens of an attempt that was interrupted; sampling goes on after them."""

    def after(self, begun: Completion) -> Request:
        """The same request, to go on after the tokens of `begun` (which include those before)."""
        return replace(self, begun=begun)

    @property
    def tokens_left(self) -> int:
        """How many new tokens may still be sampled."""
        return self.sampling.max_new_tokens - (len(self.begun.token_ids) if self.begun else 0)


def generate_body(requests: Sequence[Request]) -> dict[str, Any]:
    """The body of one batched POST /generate, with one set of parameters if all requests share it."""
    parameters = [sampling_params(request) for request in requests]
    shared = all(one == parameters[0] for one in parameters)
    return {
        "input_ids": [[*r.prompt, *(r.begun.token_ids if r.begun else ())] for r in requests],
        "sampling_params": parameters[0] if shared else parameters,
        "return_logprob": True,
    }


def sampling_params(request: Request) -> dict[str, Any]:
    """One request's parameters; at temperature 0 SGLang takes the likeliest token, as `Sampling` says.

    With `stop_token_ids` the server also stops at the model's own end of text; without any it goes on to the
    limit.
    """
    sampling = request.sampling
    seed = {"sampling_seed": sampling.seed} if request.seeded else {}
    return {
        "max_new_tokens": request.tokens_left,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop_token_ids": list(sampling.stop_token_ids),
        "ignore_eos": not sampling.stop_token_ids,
        "skip_special_tokens": False,
        **seed,
    }


def parse_completions(content: bytes, requests: Sequence[Request]) -> list[Completion]:
    """The completions in the answer to `generate_body(requests)`, joined to what had begun.

    Raises:
        MalformedAnswer: the answer is not one completion with log-probabilities for each request.
    """
    try:
        answers = _ANSWERS.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise MalformedAnswer(f"{where}: {first['msg']}; it begins with {content[:80]!r}") from None
    if len(answers) != len(requests):
        raise MalformedAnswer(f"{len(requests)} requests got {len(answers)} answers")
    return [_completion(answer, request) for answer, request in zip(answers, requests, strict=True)]


def _completion(answer: _Answer, request: Request) -> Completion:
    sampled = answer.meta_info.output_token_logprobs or []
    tokens = tuple(token for _, token, _ in sampled)
    if tokens != tuple(answer.output_ids):
        raise MalformedAnswer(f"{len(answer.output_ids)} tokens came with {len(sampled)} log-probabilities")
    begun = request.begun
    return Completion(
        token_ids=(*(begun.token_ids if begun else ()), *tokens),
        logprobs=(*(begun.logprobs if begun else ()), *(logprob for logprob, _, _ in sampled)),
        finish_reason=_finish_reason(answer.meta_info.finish_reason),
        weight_version=_weight_version(answer.meta_info.weight_version),
    )


def _finish_reason(reason: Mapping[str, Any]) -> FinishReason:
    try:
        parsed = FinishReason(str(reason.get("type")))
    except ValueError:
        raise MalformedAnswer(f"unknown finish reason {dict(reason)}") from None
    if parsed is FinishReason.ABORT and reason.get("status_code") is not None:
        raise MalformedAnswer(f"a request was refused: {reason.get('message')}")
    return parsed


def _weight_version(version: str) -> int:
    """The version as a number; a server that lost its weights gives none."""
    if not version.isdecimal():
        raise MalformedAnswer(f"a response came from weights of version {version!r}, which nobody sent")
    return int(version)
