"""Weights on their way to the engines: cast to the engines' type and packed into a few large tensors.

Hundreds of small tensors would each cost a message. A bucket is one flat tensor of bytes with a table of
contents in the form that SGLang calls `flattened_bucket`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies in its bucket."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    start: int
    """First byte."""
    end: int
    """Byte after the last."""


@dataclass(frozen=True)
class Bucket:
    """Some tensors, one after the other."""

    entries: tuple[Entry, ...]
    data: Tensor
    """uint8 [bytes], on the device of the tensors."""
    is_last: bool = False
    """Whether no more come after it."""

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The tensors by name, as views of `data`."""
        for entry in self.entries:
            yield entry.name, self.data[entry.start : entry.end].view(entry.dtype).view(entry.shape)


def pack(tensors: Iterable[tuple[str, Tensor]], dtype: torch.dtype, bucket_bytes: int) -> Iterator[Bucket]:
    """Buckets of about `bucket_bytes` with copies of all tensors, cast to `dtype`."""
    waiting: list[tuple[str, Tensor]] = []
    size = 0
    for name, tensor in tensors:
        cast = tensor.detach().to(dtype)
        if waiting and size + cast.nbytes > bucket_bytes:
            yield _flatten(waiting, is_last=False)
            waiting, size = [], 0
        waiting.append((name, cast))
        size += cast.nbytes
    if waiting:
        yield _flatten(waiting, is_last=True)


def _flatten(tensors: Sequence[tuple[str, Tensor]], *, is_last: bool) -> Bucket:
    flat = [tensor.contiguous().view(-1).view(torch.uint8) for _, tensor in tensors]
    entries, start = [], 0
    for (name, tensor), part in zip(tensors, flat, strict=True):
        end = start + part.numel()
        entries.append(Entry(name, tuple(tensor.shape), tensor.dtype, start, end))
        start = end
    return Bucket(tuple(entries), torch.cat(flat), is_last)


class HostCopy:
    """The last weights that were sent, kept in memory for a server that must be started again."""

    def __init__(self, *, keep: bool) -> None:
        """Nothing is kept yet, and nothing ever without `keep`: no server will need it."""
        self._keep = keep
        self._buckets: list[Bucket] = []
        self._kept = 0
        self._stream: torch.cuda.Stream | None = None
        self.version: int | None = None

    def begin(self) -> None:
        """Forget the version; the memory is used again for the next one."""
        self.version, self._kept = None, 0

    def add(self, bucket: Bucket) -> None:
        """Copy a bucket; from a GPU beside other work, so the copy is good once `end` has returned."""
        if not self._keep:
            return
        held = self._buckets[self._kept] if self._kept < len(self._buckets) else None
        data = held.data if held is not None and held.data.numel() == bucket.data.numel() else None
        if data is None:
            data = torch.empty(bucket.data.numel(), dtype=torch.uint8, pin_memory=bucket.data.is_cuda)
        if bucket.data.is_cuda:
            self._copy_aside(bucket.data, data)
        else:
            data.copy_(bucket.data)
        self._buckets[self._kept : self._kept + 1] = [Bucket(bucket.entries, data)]
        self._kept += 1

    def _copy_aside(self, source: Tensor, target: Tensor) -> None:
        """Copy on a stream of our own, so that sending the bucket does not wait for it."""
        self._stream = self._stream or torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)
        source.record_stream(self._stream)

    def end(self, version: int) -> None:
        """All buckets of `version` were added."""
        if not self._keep:
            return
        del self._buckets[self._kept :]
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.version = version

    def buckets(self) -> Sequence[Bucket]:
        """What was added, in order."""
        return tuple(self._buckets)
