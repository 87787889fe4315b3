"""Problems for kernels whose threads must synchronise: sums, maxima, prefix sums and counts.

Each kernel file names its problem (`// problem: total`) and has the launch lines of an ordinary candidate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evaluation.backends.base import Backend
from evaluation.candidate import Candidate, parse_source
from evaluation.check import judge
from evaluation.problem import Instance, Tensor
from evaluation.reference.draw import Case, Kind, Trial
from evaluation.verdict import Verdict

_ROWS = ((3, 37), (40, 129), (17, 64))  #: rows and columns, at each of which a kernel runs
_LENGTHS = (37, 3001, 1000)


def verdict_on(backend: Backend, path: Path) -> Verdict:
    """Judge the kernel in `path` at three sizes of its problem, which are all variants of a run."""
    source = path.read_text()
    name = re.findall(r"^// problem: (\w+)$", source, re.MULTILINE)[0]
    candidate = parse_source(source)
    assert isinstance(candidate, Candidate), candidate.reason
    cases = [_case(name, draw) for draw in range(3)]
    return judge(candidate, cases, 1e-4, backend, cases[0].instance)


def _case(name: str, draw: int) -> Case:
    rng = np.random.default_rng(draw)
    n, (rows, cols) = _LENGTHS[draw], _ROWS[draw]
    if name in ("rows", "highest"):
        x = rng.standard_normal((rows, cols), dtype=np.float32)
        wide = x.astype(np.float64)
        out = wide.max(axis=1) if name == "highest" else (wide * wide + wide).sum(axis=1)
        return _made({"rows": rows, "cols": cols}, x, out, "float32")
    if name == "total":
        x = rng.standard_normal(n, dtype=np.float32)
        wide = x.astype(np.float64)
        return _made({"n": n}, x, np.array([(wide * wide + wide).sum()]), "float32")
    counted = rng.integers(0, 16, n, dtype=np.int32)
    out = np.cumsum(counted) if name == "prefix" else np.bincount(counted, minlength=16)
    return _made({"n": n}, counted, out, "int32")


def _made(sizes: Mapping[str, int], x: np.ndarray, out: np.ndarray, dtype: str) -> Case:
    instance = Instance(
        program="",
        sizes=dict(sizes),
        inputs=(Tensor(name="x", shape=x.shape, dtype=x.dtype.name),),
        outputs=(Tensor(name="out", shape=out.shape, dtype=dtype),),
    )
    scale = {"out": np.full(out.shape, np.abs(out).max())} if dtype == "float32" else {}
    return Case(instance, Kind.OWN, Trial({"x": x}, {"out": out}, scale, {}))
