"""Device memory that one worker lends another to read (CUDA IPC): outputs change hands without the host.

Used inside workers only. Nothing is ever given back: blocks grow by doubling, so the old ones together are
smaller than the last, and a block that another process has open must not be freed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pycuda.driver as cuda
import torch
from torch import Tensor

_ALIGNMENT = 256
_FIRST_BYTES = 1 << 20


def offsets(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where buffers of these sizes lie one after the other, aligned for every type, and where they end."""
    starts, end = [], 0
    for size in sizes:
        starts.append(end)
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return starts, end


class Lender:
    """The side whose memory it is."""

    def __init__(self) -> None:
        self._blocks: list[Any] = []
        self._size = 0

    def lend(self, tensors: Sequence[Tensor], stream: Any) -> str:
        """Copy contiguous tensors into a block, one after the other; the block's name for `Borrower`."""
        starts, size = offsets([tensor.nbytes for tensor in tensors])
        if self._size < size:
            self._size = max(size, 2 * self._size, _FIRST_BYTES)
            self._blocks.append(cuda.mem_alloc(self._size))
        block = int(self._blocks[-1])
        for start, tensor in zip(starts, tensors, strict=True):
            if tensor.nbytes:
                cuda.memcpy_dtod_async(block + start, tensor.data_ptr(), tensor.nbytes, stream)
        stream.synchronize()
        return bytes(cuda.mem_get_ipc_handle(block)).hex()


class Borrower:
    """The side that reads; it keeps the block that it opened last."""

    def __init__(self) -> None:
        self._name = ""
        self._block: Any = None

    def view(self, name: str, size: int) -> Tensor:
        """The first `size` bytes of the lender's block, uint8."""
        if name != self._name:
            self._close()
            self._block = cuda.IPCMemoryHandle(bytearray.fromhex(name))
            self._name = name
        return torch.as_tensor(_Memory(int(self._block), size), device="cuda")

    def _close(self) -> None:
        block, self._name, self._block = self._block, "", None
        with suppress(cuda.Error):  # its lender may be gone
            if block is not None:
                block.close()


class _Memory:
    """Bytes at an address, as torch takes them without a copy."""

    def __init__(self, address: int, size: int) -> None:
        self.__cuda_array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }
