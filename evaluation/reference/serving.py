"""What a confined process does that imports much once and then forks for every request.

Started by `evaluation.reference.process` under the launcher of `evaluation.confine`. Requests arrive on stdin
and replies leave by stdout, as frames. Each request is served by a fork of its own that holds one descriptor,
the writing end of a pipe back to this process, and is bounded in CPU time and memory. A reply frame begins
with how the child ended.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from evaluation.reference import child_filter, frames

_RESULT_FD = 3

Answer: TypeAlias = Callable[[dict[str, Any]], tuple[dict[str, Any], list[bytes]]]
"""Does one job: a result as JSON, and raw bytes; what fails is a result, too."""


def serve_until_closed(lock_path: str, answer: Answer) -> None:
    """Serve requests until stdin closes; `lock_path` is the filter of `child_filter`.

    To be called once everything is imported and has been tried, so that forks find all lazy work done.
    """
    lock = ctypes.CDLL(lock_path)
    gc.freeze()
    gc.enable()
    frames.write_all(1, frames.frame(frames.READY))
    while (header := frames.read_exactly(0, frames.HEADER_BYTES)) is not None:
        request = frames.read_exactly(0, frames.length(header))
        if request is None:
            break
        frames.write_all(1, frames.frame(_serve(json.loads(request), lock, answer)))


def _serve(request: dict[str, Any], lock: ctypes.CDLL, answer: Answer) -> bytes:
    """Fork a child for `request` and return its wait status and what it wrote, up to the limit."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        _run_child(writing, request, lock, answer)
    os.close(writing)
    data = bytearray()
    while len(data) <= request["reply_bytes"] and (chunk := os.read(reading, 1 << 20)):
        data += chunk
    os.close(reading)
    status = os.waitpid(process, 0)[1]
    return status.to_bytes(4, "little") + bytes(data)


def _run_child(descriptor: int, request: dict[str, Any], lock: ctypes.CDLL, answer: Answer) -> NoReturn:
    """Serve `request` in this forked process, locked down, and end it."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for target, source in ((_RESULT_FD, descriptor), (0, null), (1, null), (2, null)):
            os.dup2(source, target)
        os.closerange(_RESULT_FD + 1, 256)
        child_filter.limit(request["cpu_seconds"], request["memory_mb"])
        child_filter.lock(lock)
        results, blobs = [], []
        for job in request["jobs"]:
            result, extra = answer(job)
            results.append(result)
            blobs += extra
        frames.write_all(_RESULT_FD, frames.pack_reply(results, blobs))
        os._exit(0)
    finally:
        os._exit(1)
