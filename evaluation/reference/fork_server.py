"""The confined process that runs reference programs: imports torch once, then forks per request.

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
from collections.abc import Mapping
from typing import Any, NoReturn

from evaluation.reference import lean_torch  # noqa: F401  (before torch)

# isort: split
import torch

from evaluation.reference import child_filter, frames
from evaluation.reference import describe as reference_describe
from evaluation.reference import execute as reference_run
from evaluation.reference import graph as reference_graph
from evaluation.reference import trial as reference_trial
from evaluation.reference.draw import Draw, Kind
from evaluation.reference.syntax import ProgramError

_RESULT_FD = 3
_WARM_UP = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from einops import rearrange
m, n = 4, 8
class Model(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear = nn.Linear(n, n)
        self.norm = nn.BatchNorm1d(n)
    def forward(self, x, y):
        z = F.gelu(self.norm(self.linear(x))).softmax(1) + torch.zeros(n).cuda()
        convolved = F.conv1d(x[None], y[None, :4, :3].float())
        turned = rearrange(torch.cumsum(z @ y, dim=1), "a b -> b a")
        return turned, z.max(dim=1).values, F.max_pool1d(x, 3), convolved
def get_inputs():
    return [torch.randn([m, n], dtype=torch.float32), torch.rand(n, m)]
def get_init_inputs():
    return [n]
"""


def answer(job: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Do one job; a program's failure becomes a result with its reason, never an exception."""
    try:
        if job["kind"] == "survey":
            return {"value": reference_run.survey(job["program"], job["limit"])}, []
        if job["kind"] == "describe":
            return {"value": reference_describe.describe(job["program"], job["seeds"])}, []
        if job["kind"] == "graph":
            return {"value": reference_graph.graph_hash(job["program"], job["limit"])}, []
        if job["kind"] == "ignoring":
            draws = [Draw(Kind(kind), seed) for kind, seed in job["draws"]]
            return _with_arrays(reference_trial.ignoring(job["program"], *draws))
        kind, seed = job["draw"]
        return _with_arrays(reference_trial.trial(job["program"], Draw(Kind(kind), seed)))
    except ProgramError as error:
        return {"error": str(error)}, []
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        return {"error": f"the program does not run: {type(error).__name__}: {lines[0]}"}, []


def _with_arrays(groups: Mapping[str, reference_run.Named]) -> tuple[dict[str, Any], list[bytes]]:
    """A result with tensors, by group: what they are as JSON, and their bytes in the same order."""
    tensors = [
        {"group": group, **specification}
        for group, named in groups.items()
        for specification in reference_run.specifications(named)
    ]
    blobs = [reference_run.to_bytes(tensor) for named in groups.values() for tensor in named.values()]
    return {"value": {"tensors": tensors}}, blobs


def run_child(descriptor: int, request: dict[str, Any], lock: ctypes.CDLL) -> NoReturn:
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


def serve(request: dict[str, Any], lock: ctypes.CDLL) -> bytes:
    """Fork a child for `request` and return its wait status and what it wrote, up to the limit."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        run_child(writing, request, lock)
    os.close(writing)
    data = bytearray()
    while len(data) <= request["reply_bytes"] and (chunk := os.read(reading, 1 << 20)):
        data += chunk
    os.close(reading)
    status = os.waitpid(process, 0)[1]
    return status.to_bytes(4, "little") + bytes(data)


def warm_up() -> None:
    """Run a harmless program in every way, so that children find all lazy imports done."""
    jobs: list[dict[str, Any]] = [
        {"kind": "survey", "program": _WARM_UP, "limit": 1024},
        {"kind": "survey", "program": _WARM_UP, "limit": None},
        {"kind": "describe", "program": _WARM_UP, "seeds": [0, 1]},
        {"kind": "graph", "program": _WARM_UP, "limit": 0},
        *({"kind": "trial", "program": _WARM_UP, "draw": (kind, 1)} for kind in Kind),
    ]
    for job in jobs:
        result, _ = answer(job)
        if "error" in result:
            raise SystemExit(f"warm-up failed: {result['error']}")


def main(lock_path: str) -> None:
    """Serve requests until stdin closes; `lock_path` is the filter."""
    lock = ctypes.CDLL(lock_path)
    torch.set_num_threads(1)
    warm_up()
    gc.freeze()
    gc.enable()
    frames.write_all(1, frames.frame(frames.READY))
    while (header := frames.read_exactly(0, frames.HEADER_BYTES)) is not None:
        request = frames.read_exactly(0, frames.length(header))
        if request is None:
            break
        frames.write_all(1, frames.frame(serve(json.loads(request), lock)))
