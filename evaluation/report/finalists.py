"""The best kernel of each problem, kept as files that `python -m evaluation check` accepts.

On the cuda backend a finalist first passes compute-sanitizer, where that is installed: guard zones and
repeated runs catch what matters to a verdict, the sanitizer whatever else is wrong with a kernel that people
will take away. One that it refuses makes room for the next best.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from evaluation.candidate import parse
from evaluation.errors import EvaluatorFailure, WarpsmithError
from evaluation.plan import Plan, plan
from evaluation.problem import Frozen, Problem
from evaluation.reference.draw import Draw, Kind
from evaluation.reference.pool import ReferencePool
from evaluation.report.summary import Contender, Sample, merit
from evaluation.rows import read_rows
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.verdict import Refusal

if TYPE_CHECKING:
    from evaluation.backends.cuda.backend import CudaBackend, CudaBuilt

_Job: TypeAlias = "tuple[CudaBuilt, Plan, dict[str, np.ndarray]]"
"""A kernel built, its launches, and the inputs to run it on."""
_TRIES = 3
"""Kernels of one problem that the sanitizer sees before the problem goes without a finalist."""
_LIST = "finalists.jsonl"
NOT_SANITIZED = "not run"
PASSED = "passed"


class Finalist(Frozen):
    """The kernel that was kept for a problem."""

    problem_id: str
    index: int
    """Of the sample among the model's samples for the problem."""
    speedup: float | None
    sanitizer: str
    """`passed`, or `not run` with the reason."""
    refused: tuple[str, ...] = ()
    """What the sanitizer found in better kernels of the problem."""


def choose_finalists(
    problems: Sequence[Problem], samples: Sequence[Sample], settings: EvaluationSettings, *, seed: int
) -> list[Finalist]:
    """The best kernel of the trained model for every problem that it solved, in the order of the problems."""
    ranked = {problem.id: _ranked(problem, samples)[:_TRIES] for problem in problems}
    solved = [problem for problem in problems if ranked[problem.id]]
    unsanitized = _why_not_sanitized(settings)
    if unsanitized:
        return [_finalist(ranked[problem.id][0], f"{NOT_SANITIZED}: {unsanitized}") for problem in solved]
    return _sanitized(solved, ranked, settings, seed)


def save_finalists(
    folder: Path, finalists: Sequence[Finalist], problems: Sequence[Problem], samples: Sequence[Sample]
) -> None:
    """Write each finalist as NAME.md beside its reference program NAME.py, and `finalists.jsonl`.

    What an earlier run kept there is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_earlier(folder)
    programs = {problem.id: problem.shipped.program for problem in problems}
    responses = {(s.problem_id, s.index): s.response for s in samples if s.contender is Contender.TRAINED}
    for finalist in finalists:
        kernel, program = _files(folder, finalist)
        response = responses[finalist.problem_id, finalist.index]
        kernel.write_text(response.strip() + "\n", encoding="utf-8")
        program.write_text(programs[finalist.problem_id], encoding="utf-8")
    lines = [finalist.model_dump_json() + "\n" for finalist in finalists]
    (folder / _LIST).write_text("".join(lines), encoding="utf-8")


def _remove_earlier(folder: Path) -> None:
    """Delete what an earlier run kept, as its list says: other files of the folder are not ours."""
    with suppress(WarpsmithError):  # no list, or none of ours
        for finalist in read_rows(Finalist, folder / _LIST):
            for path in _files(folder, finalist):
                path.unlink(missing_ok=True)


def _files(folder: Path, finalist: Finalist) -> tuple[Path, Path]:
    """Where a finalist's kernel and its reference program are kept."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", finalist.problem_id)
    return folder / f"{name}.md", folder / f"{name}.py"


def _ranked(problem: Problem, samples: Sequence[Sample]) -> list[Sample]:
    """The correct samples of the trained model, the best first; distinct sources only."""
    found = [
        sample
        for sample in samples
        if sample.problem_id == problem.id and sample.contender is Contender.TRAINED and sample.checks.correct
    ]
    ordered = sorted(found, key=lambda sample: (merit(sample), -sample.index), reverse=True)
    return list({sample.response: sample for sample in reversed(ordered)}.values())[::-1]


def _why_not_sanitized(settings: EvaluationSettings) -> str | None:
    if settings.backend is not BackendName.CUDA:
        return f"the {settings.backend} backend checks every access itself"
    from evaluation.report.sanitize import find_sanitizer

    return None if find_sanitizer() else "compute-sanitizer is not installed"


def _sanitized(
    problems: Sequence[Problem],
    ranked: Mapping[str, Sequence[Sample]],
    settings: EvaluationSettings,
    seed: int,
) -> list[Finalist]:
    """Sanitize the best of each problem side by side, then the next best of those that were refused."""
    from evaluation.backends.cuda.backend import CudaBackend

    kept: dict[str, Finalist] = {}
    refused: dict[str, list[str]] = {problem.id: [] for problem in problems}
    with ExitStack() as stack:
        backend = CudaBackend(settings)
        stack.callback(backend.close)
        reference = stack.enter_context(ReferencePool(require_confinement=settings.require_confinement))
        threads = stack.enter_context(ThreadPoolExecutor(settings.workers))
        for attempt in range(_TRIES):
            entered = [p for p in problems if p.id not in kept and len(ranked[p.id]) > attempt]
            jobs = [_prepared(p, ranked[p.id][attempt], backend, reference, seed) for p in entered]
            for problem, verdict in zip(entered, threads.map(_verdict, jobs), strict=True):
                if isinstance(verdict, Refusal):
                    refused[problem.id].append(verdict.reason)
                else:
                    best, found = ranked[problem.id][attempt], tuple(refused[problem.id])
                    kept[problem.id] = _finalist(best, verdict, found)
    return [kept[problem.id] for problem in problems if problem.id in kept]


def _prepared(
    problem: Problem, sample: Sample, backend: CudaBackend, reference: ReferencePool, seed: int
) -> _Job | Refusal | str:
    """What to sanitize, or why it cannot be: a failure of ours says nothing of the kernel."""
    try:
        return _prepare(problem, sample, backend, reference, seed)
    except (WarpsmithError, EvaluatorFailure) as error:
        return f"{NOT_SANITIZED}: {error}"


def _prepare(
    problem: Problem, sample: Sample, backend: CudaBackend, reference: ReferencePool, seed: int
) -> _Job | Refusal:
    """Build the kernel and draw inputs, at the smallest check size: the tools slow everything down."""
    instance = min(problem.checks, key=lambda one: sum(tensor.numel for tensor in one.inputs))
    candidate = parse(sample.response)
    if isinstance(candidate, Refusal):
        return candidate
    planned = plan(candidate, instance)
    if isinstance(planned, Refusal):
        return planned
    built = backend.build(candidate.source, planned.kernels)
    if isinstance(built, Refusal):
        return built
    return built, planned, reference.trial(instance, Draw(Kind.OWN, seed)).inputs


def _verdict(job: _Job | Refusal | str) -> str | Refusal:
    """`passed`, what the sanitizer found, or why it did not run: that is no fault of the kernel's."""
    from evaluation.report.sanitize import sanitize

    if isinstance(job, Refusal | str):
        return job
    try:
        return sanitize(*job) or PASSED
    except WarpsmithError as error:
        return f"{NOT_SANITIZED}: {error}"


def _finalist(sample: Sample, sanitizer: str, refused: tuple[str, ...] = ()) -> Finalist:
    return Finalist(
        problem_id=sample.problem_id,
        index=sample.index,
        speedup=sample.speedup,
        sanitizer=sanitizer,
        refused=refused,
    )
