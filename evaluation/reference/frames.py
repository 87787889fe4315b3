"""Length-prefixed messages over pipes: how the reference pool and its confined workers talk.

A frame is its length as 8 bytes, little-endian, then its bytes. A reply is JSON and raw array
bytes side by side, so that nothing that comes from a confined process is ever unpickled.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from typing import Any

_LENGTH = struct.Struct("<Q")
HEADER_BYTES = _LENGTH.size
"""Bytes before a frame's content."""
MAX_JSON_BYTES = 1 << 20
"""Largest JSON part of a reply: small objects take a hundred times their text in memory."""
READY = b"ready"
"""Content of the first frame that a worker sends."""


class FrameError(Exception):
    """The bytes received are no reply that the protocol allows."""


def frame(content: bytes) -> bytes:
    """`content` with its length in front."""
    return _LENGTH.pack(len(content)) + content


def length(header: bytes) -> int:
    """Length of the content that follows `header`."""
    (size,) = _LENGTH.unpack(header)
    return int(size)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, however small the pipe."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_exactly(descriptor: int, size: int) -> bytes | None:
    """Read `size` bytes; `None` when the other end closes first."""
    data = bytearray()
    while len(data) < size:
        chunk = os.read(descriptor, min(size - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


def pack_reply(results: Sequence[Any], blobs: Sequence[bytes]) -> bytes:
    """A reply: `results` as JSON, then all `blobs` one after the other."""
    header = json.dumps({"results": results, "sizes": [len(blob) for blob in blobs]}).encode()
    return frame(header) + b"".join(blobs)


def unpack_reply(data: bytes) -> tuple[list[Any], list[memoryview]]:
    """The results and blobs of a reply from a process that is not trusted; raises `FrameError`."""
    if len(data) < HEADER_BYTES:
        raise FrameError("no reply")
    start = HEADER_BYTES + length(data[:HEADER_BYTES])
    if start > HEADER_BYTES + MAX_JSON_BYTES:
        raise FrameError("a reply too long to be read")
    try:
        header = json.loads(data[HEADER_BYTES:start])
        results, sizes = header["results"], header["sizes"]
        sound = isinstance(results, list) and all(type(size) is int and size >= 0 for size in sizes)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FrameError(f"malformed reply ({type(error).__name__})") from None
    if not sound or start + sum(sizes) != len(data):
        raise FrameError("malformed reply (its lengths do not add up)")
    view, blobs = memoryview(data), []
    for size in sizes:
        blobs.append(view[start : start + size])
        start += size
    return results, blobs
