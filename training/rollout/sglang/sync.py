"""New weights for the engines: sent in buckets, proven by checksums, kept for a server that must restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.rollout.sglang.buckets import Bucket, HostCopy, pack
from training.rollout.sglang.checksum import CannotTell, ExpectedDigests, require_equal
from training.rollout.sglang.client import Client
from training.rollout.sglang.disk import load_buckets
from training.rollout.sglang.fleet import Fleet
from training.rollout.sglang.transfer import Transfer


@dataclass(frozen=True)
class Format:
    """How weights are cut up for the engines."""

    dtype: torch.dtype
    """The engines' type."""
    bucket_bytes: int
    """Size of a bucket."""


class Follower:
    """The part that ranks other than the first have in an update."""

    def __init__(self, transfer: Transfer | None, form: Format) -> None:
        """`transfer`, if every rank takes part in it."""
        self._transfer, self._form = transfer, form

    def update(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Exhaust the tensors, which is collective, and hand over this rank's if they are needed."""
        if self._transfer is None:
            for _ in tensors:
                pass
            return
        self._transfer.begin(version)
        for bucket in pack(tensors, self._form.dtype, self._form.bucket_bytes):
            self._transfer.send(bucket)
        self._transfer.finish()

    def close(self) -> None:
        """Give back what the transfer holds."""
        if self._transfer is not None:
            self._transfer.close()


class Leader:
    """Rank 0's part: it knows the engines."""

    def __init__(
        self,
        fleet: Fleet,
        transfer: Transfer,
        form: Format,
        *,
        new_digests: Callable[[], ExpectedDigests],
        check_interval: int | None,
        copy: HostCopy,
        folder: Path,
    ) -> None:
        """Weights go to the engines of `fleet`.

        Args:
            fleet: the engines.
            transfer: the way there.
            form: how weights are cut up.
            new_digests: starts the trainer's side of a proof.
            check_interval: every how many updates the engines must prove their weights; none is at the first
                alone, 0 never.
            copy: keeps the weights for engines that lose theirs.
            folder: where all engines can read files.
        """
        self._fleet, self._transfer, self._form = fleet, transfer, form
        self._new_digests, self._check_interval = new_digests, check_interval
        self._copy, self._folder = copy, folder
        self._updates = 0
        self._lock, self._proving = threading.Lock(), threading.Lock()
        self._digests_agree = False

    def update(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Send all tensors to all engines, and prove it when that is due.

        Raises:
            WarpsmithError: an engine refuses them, or does not hold them in the end.
        """
        with self._lock, self._fleet.paused():
            expected = self._new_digests() if self._is_check_due() else None
            self._copy.begin()
            self._transfer.begin(version)
            for bucket in pack(tensors, self._form.dtype, self._form.bucket_bytes):
                self._send(bucket, expected)
            self._transfer.finish()
            self._copy.end(version)
            self._updates += 1
            if expected is not None:
                digests = expected.by_rank()
                self._fleet.each(lambda member: self._prove(member.client, version, digests))
        self._fleet.each(lambda member: self.restore(member.client))

    def restore(self, client: Client) -> bool:
        """Give an engine the latest weights unless it has them; whether it lacked them.

        Raises:
            ServerLost: it gave no usable answer.
            WarpsmithError: it refuses them.
        """
        with self._lock:
            version = self._copy.version
            if version is None or client.weight_version() == str(version):
                return False
            expected = self._new_digests()
            for bucket in self._copy.buckets():
                expected.add(bucket.tensors())
            load_buckets(client, self._copy.buckets(), version, self._folder)
            self._require_equal(client, expected.by_rank())
            return True

    def close(self) -> None:
        """Give back what the transfer holds."""
        self._transfer.close()

    def _send(self, bucket: Bucket, expected: ExpectedDigests | None) -> None:
        self._copy.add(bucket)
        self._transfer.send(bucket)
        if expected is not None:
            expected.add(bucket.tensors())

    def _prove(self, client: Client, version: int, digests: list[dict[str, str]]) -> None:
        """An engine that was lost on the way is not asked: it gets its weights by `restore`."""
        if client.weight_version() == str(version):
            self._require_equal(client, digests)

    def _require_equal(self, client: Client, digests: list[dict[str, str]]) -> None:
        """Compare an engine's digests with ours, unless it was found that they tell nothing."""
        with self._proving:
            if self._check_interval == 0:
                return
            try:
                require_equal(client, digests)
            except CannotTell as reason:
                if self._digests_agree:
                    raise WarpsmithError(
                        f"{client.url} proved its weights before and does not now ({reason}); see its log"
                    ) from None
                self._check_interval = 0
                print(
                    f"warning: checksums of {client.url} cannot prove its weights ({reason}); the run goes "
                    "on without, and train/logprob_difference tells whether it generates with the trainer's",
                    flush=True,
                )
            else:
                self._digests_agree = True

    def _is_check_due(self) -> bool:
        every = self._check_interval
        return self._updates == 0 if every is None else every > 0 and self._updates % every == 0
