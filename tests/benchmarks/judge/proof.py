"""Witnesses for all mutants, on several processes; what was found is kept in a file between runs."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from tests.benchmarks.judge.corpus import programs
from tests.benchmarks.judge.interpreter import HERE, Interpreter
from tests.benchmarks.judge.kernels.text import Kernel
from tests.benchmarks.judge.published import passes
from tests.benchmarks.judge.rules.all import Mutant
from tests.benchmarks.judge.rules.rule import Family
from tests.benchmarks.judge.witness import Original

#: Families whose faults show in mixed orders of threads.
_MIXED = {
    Family.SYNCHRONISATION, Family.ATOMICS, Family.REDUCTION, Family.MEMORY, Family.LAUNCH, Family.BOUNDS,
}  # fmt: skip

_Task = tuple[str, str, bool]
"""A mutant's key and text, and whether mixed orders are tried."""


def witnesses(mutants: Sequence[Mutant], store: Path, workers: int) -> dict[str, str | None]:
    """A witness in words for every mutant by its key; None where there is none.

    Those found are appended to `store` at once, so that the work can be interrupted.
    """
    known = _known(store)
    missing: dict[Kernel, list[_Task]] = defaultdict(list)
    for mutant in mutants:
        if mutant.key not in known:
            missing[mutant.original].append((mutant.key, mutant.text, mutant.rule.family in _MIXED))
    store.parent.mkdir(parents=True, exist_ok=True)
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start) as pool,
        store.open("a") as file,
    ):
        for number, found in enumerate(pool.map(_prove, missing.items())):
            known |= found
            file.writelines(json.dumps([_version(), key, reason]) + "\n" for key, reason in found.items())
            file.flush()
            if number % 20 == 0:
                print(f"witnesses: {number + 1} of {len(missing)} kernels", flush=True)
    return {mutant.key: known[mutant.key] for mutant in mutants}


def published(mutants: Sequence[Mutant], workers: int) -> dict[str, tuple[bool, ...]]:
    """By a mutant's key, whether the published procedure takes it for right, by tolerance; on the CPU."""
    tasks = [(mutant.original, mutant.key, mutant.text) for mutant in mutants]
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start) as pool:
        return dict(pool.map(_pass, tasks, chunksize=8))


def _known(store: Path) -> dict[str, str | None]:
    rows: Iterator[list] = map(json.loads, store.read_text().splitlines()) if store.exists() else iter(())
    return {key: reason for version, key, reason in rows if version == _version()}


def _version() -> str:
    """Hash of what a witness depends on."""
    names = ("harness.h", "harness.cpp", "interpreter.py", "launches.py", "programs.py", "witness.py")
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names)).hexdigest()[:8]


_interpreter: Interpreter


def _start() -> None:
    global _interpreter
    torch.set_num_threads(1)
    _interpreter = Interpreter()


def _prove(item: tuple[Kernel, Sequence[_Task]]) -> Mapping[str, str | None]:
    kernel, tasks = item
    original = Original(_interpreter, programs()[kernel.program], kernel.text)
    return {key: original.witness(text, mixed=mixed) for key, text, mixed in tasks}


def _pass(task: tuple[Kernel, str, str]) -> tuple[str, tuple[bool, ...]]:
    original, key, text = task
    return key, passes(_interpreter, programs()[original.program], original.text, text)
