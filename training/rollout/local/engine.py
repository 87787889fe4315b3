"""The in-process rollout engine of the embedded default: batched sampling on one CPU thread.

It decodes up to `batch_size` requests together, drops rows as they finish and shares the prefill of
equal prompts. A completion depends on its prompt, its `Sampling` and the weights; the company it
is decoded in changes it only through float32 rounding, and the same requests in the same order give
the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.checkpoint.hf_files import find_tensors
from training.checkpoint.hf_tensors import read_slice
from training.rollout.engine import Completion, FinishReason, Sampling
from training.rollout.local.decoder import Cache, Decoder
from training.rollout.local.sampler import Sampler
from training.settings.architecture import Architecture, read_architecture


class LocalEngine:
    """A `RolloutEngine` over our own decoder."""

    shared = False

    def __init__(self, architecture: Architecture, *, batch_size: int = 128) -> None:
        """An engine without weights: `update_weights` comes before `generate`."""
        self._architecture = architecture
        self._batch_size = batch_size
        self._decoder: Decoder | None = None
        self._version = 0
        self._aborts = 0

    @classmethod
    def from_pretrained(cls, hf_dir: Path, *, batch_size: int = 128) -> LocalEngine:
        """An engine with the weights (version 0) of a Hugging Face folder; WarpsmithError if unsupported."""
        engine = cls(read_architecture(hf_dir), batch_size=batch_size)
        files = find_tensors(hf_dir, engine._architecture)
        dtype = getattr(torch, engine._architecture.dtype)
        tensors = ((name, read_slice(path, name).to(dtype)) for name, path in files.items())
        engine.update_weights(tensors, version=0)
        return engine

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling]) -> list[Completion]:
        """Sample one completion for each prompt; raises WarpsmithError for one that cannot fit the model."""
        if self._decoder is None:
            raise RuntimeError("the engine has no weights: call update_weights first")
        if len(prompts) != len(sampling):
            raise ValueError(f"{len(prompts)} prompts but {len(sampling)} sampling settings")
        for prompt, request in zip(prompts, sampling, strict=True):
            self._check(prompt, request)
        completions: list[Completion] = []
        aborts = self._aborts
        with torch.inference_mode(), _one_thread():
            for start in range(0, len(prompts), self._batch_size):
                rows = slice(start, start + self._batch_size)
                batch = _Batch(self._decoder, prompts[rows], sampling[rows])
                completions += batch.run(self._version, lambda: self._aborts != aborts)
        return completions

    def abort(self) -> None:
        """End the calls of `generate` in other threads at their next token."""
        self._aborts += 1

    def update_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Replace all weights by copies of the named tensors and call them `version`."""
        self._decoder = Decoder(self._architecture, tensors)
        self._version = version

    def lend(self) -> None:
        """Nothing to give up."""

    def release(self) -> None:
        """Nothing to give up: caches live only while `generate` runs."""

    def resume(self) -> None:
        """Nothing to take back."""

    def close(self) -> None:
        """Drop the weights."""
        self._decoder = None

    def _check(self, prompt: Sequence[int], request: Sampling) -> None:
        """Refuse a request that the model has no positions or no tokens for."""
        limit, vocabulary = self._architecture.max_positions, self._architecture.vocab_size
        if not prompt:
            raise WarpsmithError("a prompt is empty; every prompt needs at least one token")
        if not 0 <= min(prompt) <= max(prompt) < vocabulary:
            raise WarpsmithError(
                f"a prompt has token ids outside 0..{vocabulary - 1}; use the model's own tokenizer"
            )
        if len(prompt) + request.max_new_tokens > limit:
            raise WarpsmithError(
                f"a prompt of {len(prompt)} tokens and {request.max_new_tokens} new ones exceed the model's "
                f"max_position_embeddings {limit}; lower rollout.max_new_tokens or raise the model's limit"
            )


class _Batch:
    """Requests that are decoded together; row r of the live state belongs to request `self._rows[r]`."""

    def __init__(
        self, decoder: Decoder, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling]
    ) -> None:
        self._decoder = decoder
        self._longest = max(request.max_new_tokens for request in sampling)
        self._sampler = Sampler(sampling)
        self._rows = torch.arange(len(prompts))
        self._limits = torch.tensor([request.max_new_tokens for request in sampling])
        self._stops = _stop_table(sampling)
        self._tokens = torch.zeros(len(prompts), self._longest, dtype=torch.int64)
        self._logprobs = torch.zeros(len(prompts), self._longest)
        self._lengths = self._limits.clone()
        self._stopped = torch.zeros(len(prompts), dtype=torch.bool)
        self._aborted = torch.zeros(len(prompts), dtype=torch.bool)
        self._logits, self._cache = self._prefill(prompts)

    def run(self, version: int, aborted: Callable[[], bool]) -> list[Completion]:
        """Decode until every request has finished, or until `aborted`."""
        for position in range(self._longest):
            if aborted():
                self._aborted[self._rows] = True
                self._lengths[self._rows] = position
                break
            tokens, logprobs = self._sampler.draw(self._logits, position)
            self._tokens[self._rows, position] = tokens
            self._logprobs[self._rows, position] = logprobs
            tokens = self._drop_finished(tokens, position)
            if not len(tokens):
                break
            self._logits = self._decoder.step(tokens, self._cache)
        return self._completions(version)

    def _prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Cache]:
        """Run each distinct prompt once, then give every request its copy with room for its response."""
        distinct = {tuple(prompt): None for prompt in prompts}
        number = {prompt: index for index, prompt in enumerate(distinct)}
        source = torch.tensor([number[tuple(prompt)] for prompt in prompts])
        logits, cache = self._decoder.prefill([list(prompt) for prompt in distinct])
        return logits[source], cache.repeat(source, cache.length + self._longest)

    def _drop_finished(self, tokens: Tensor, position: int) -> Tensor:
        """Record and remove the rows that end with this token; returns the tokens of the others."""
        stopped = (tokens[:, None] == self._stops[self._rows]).any(-1)
        finished = stopped | (position + 1 >= self._limits[self._rows])
        if not finished.any():
            return tokens
        self._stopped[self._rows[stopped]] = True
        self._lengths[self._rows[finished]] = position + 1
        order = _compacted(~finished)
        self._rows = self._rows[order]
        self._sampler.keep(order)
        self._cache.keep(order)
        return tokens[order]

    def _completions(self, version: int) -> list[Completion]:
        rows = zip(
            self._tokens.tolist(),
            self._logprobs.tolist(),
            self._lengths.tolist(),
            self._finish_reasons(),
            strict=True,
        )
        return [
            Completion(tuple(tokens[:length]), tuple(logprobs[:length]), reason, version)
            for tokens, logprobs, length, reason in rows
        ]

    def _finish_reasons(self) -> list[FinishReason]:
        return [
            FinishReason.ABORT if aborted else FinishReason.STOP if stopped else FinishReason.LENGTH
            for aborted, stopped in zip(self._aborted.tolist(), self._stopped.tolist(), strict=True)
        ]


def _compacted(keep: Tensor) -> Tensor:
    """Rows to keep, moved as little as possible: the last ones fill the gaps of those that go."""
    count = int(keep.sum())
    order = torch.arange(count)
    order[~keep[:count]] = keep[count:].nonzero().squeeze(-1) + count
    return order


def _stop_table(sampling: Sequence[Sampling]) -> Tensor:
    """Stop tokens of every request [B, most], filled up with -1, which no token is."""
    most = max(1, *(len(request.stop_token_ids) for request in sampling))
    return torch.tensor(
        [list(r.stop_token_ids) + [-1] * (most - len(r.stop_token_ids)) for r in sampling], dtype=torch.int64
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: small kernels lose more to hand-over than they gain from a second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
