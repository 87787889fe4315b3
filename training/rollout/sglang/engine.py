"""The rollout engine over SGLang servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from training.rollout.engine import Completion, Sampling
from training.rollout.sglang.fleet import Fleet, Member
from training.rollout.sglang.protocol import Limits, Request
from training.rollout.sglang.sync import Follower, Leader


class SglangEngine:
    """A `RolloutEngine`: one fleet of servers behind all ranks, led by rank 0."""

    shared = True

    def __init__(
        self,
        weights: Leader | Follower,
        *,
        fleet: Fleet | None,
        limits: Limits | None,
        seeded: bool,
        releases_memory: bool,
        close: Callable[[], None],
    ) -> None:
        """On rank 0 with the fleet and the limits of its servers, elsewhere without.

        `seeded` says that the servers honour seeds, `releases_memory` that they share GPUs with the trainer
        and can free their memory; `close` stops what was started for this engine.
        """
        self._weights, self._fleet, self._limits = weights, fleet, limits
        self._seeded, self._releases_memory, self._close = seeded, releases_memory, close
        self._released: dict[Member, int] = {}

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling]) -> list[Completion]:
        """Sample one completion for each prompt on rank 0; nothing on others.

        Raises:
            WarpsmithError: a request cannot be answered in full, or the servers are lost for good.
        """
        if self._fleet is None or self._limits is None:
            return []
        for prompt, settings in zip(prompts, sampling, strict=True):
            self._limits.check(prompt, settings)
        return self._fleet.generate(
            [
                Request(tuple(prompt), settings, self._seeded)
                for prompt, settings in zip(prompts, sampling, strict=True)
            ]
        )

    def abort(self) -> None:
        """End the calls of `generate` that run in other threads; their tokens so far are kept."""
        if self._fleet is not None:
            self._fleet.abort()

    def update_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Replace the weights of all servers. Collective: every rank exhausts `tensors`."""
        self._weights.update(tensors, version)

    def lend(self) -> None:
        """Have servers on the trainer's GPUs free weights, KV cache and CUDA graphs, unless they have."""
        if not self._releases_memory or self._fleet is None or self._released:
            return
        with self._fleet.paused():
            freed = self._fleet.each(
                lambda member: member.client.control("/release_memory_occupation") is not None
            )
        self._released = {member: member.restarts for member in freed}

    def release(self) -> None:
        """Wait until servers on the trainer's GPUs have freed their memory; collective.

        No rank goes on before all servers have: one would train on a GPU that is still full.
        """
        if self._releases_memory:
            self.lend()
            _wait_for_all_ranks()

    def resume(self) -> None:
        """Have them take their memory back; it holds nothing until `update_weights`. Collective.

        No server does before every rank has given back what its allocator keeps.
        """
        if not self._releases_memory:
            return
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _wait_for_all_ranks()
        if self._fleet is None or not self._released:
            return
        released, self._released = self._released, {}
        self._fleet.each(lambda member: _resume(member, released))

    def close(self) -> None:
        """Stop the servers that were started for this engine."""
        try:
            self._weights.close()
        finally:
            self._close()


def _wait_for_all_ranks() -> None:
    if dist.is_initialized():
        dist.barrier()


def _resume(member: Member, released: dict[Member, int]) -> None:
    """Resume one server, unless it was started again since and has its memory already."""
    if released.get(member) == member.restarts:
        member.client.control("/resume_memory_occupation")
