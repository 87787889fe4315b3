"""The confined process that runs reference programs: imports torch once, then forks per request.

`evaluation.reference.serving` says how requests come and what a fork may do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.reference import lean_torch  # noqa: F401  (before torch)

# isort: split
import torch

from evaluation.reference import describe as reference_describe
from evaluation.reference import execute as reference_run
from evaluation.reference import graph as reference_graph
from evaluation.reference import serving
from evaluation.reference import trial as reference_trial
from evaluation.reference.draw import Draw, Kind
from evaluation.reference.syntax import ProgramError

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
    torch.set_num_threads(1)
    warm_up()
    serving.serve_until_closed(lock_path, answer)
