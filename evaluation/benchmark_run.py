"""`python -m evaluation benchmark`: judge a file of responses and write the report.

A line of the file is one response: `{"problem_id": ..., "response": ...}`, with `"contender": "start"` or
`"trained"` where two models are to be compared. Every problem needs the same number of responses. Problems
that the file does not name are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from evaluation.benchmark import Benchmark, Contender, Rates, Sample, rates, summarise
from evaluation.check import SizeSet
from evaluation.errors import WarpsmithError
from evaluation.fingerprint import fingerprint
from evaluation.pool import EvaluationPool, Request
from evaluation.problem import Frozen, Problem
from evaluation.report import render, render_one
from evaluation.settings import BackendName, EvaluationSettings


class BenchmarkError(WarpsmithError):
    """The responses or the problems cannot be judged as they are."""


class Response(Frozen):
    """One line of the file."""

    problem_id: str
    response: str
    contender: Contender = Contender.TRAINED


def run(
    problems: Sequence[Problem],
    responses: Sequence[Response],
    settings: EvaluationSettings,
    *,
    seed: int,
    out: Path,
) -> Rates:
    """Judge every response, time what is correct if the backend is cuda, and write the report to `out`.

    Writes report.json, report.html and responses.jsonl; gives the rates of the trained (or only) model.

    Raises:
        BenchmarkError: if a response names no problem, or their numbers differ.
        WarpsmithError: if the machine lacks what the backend needs.
    """
    asked = _asked(problems, responses)
    samples = _judged({p.id: p for p in asked}, responses, settings, seed)
    machine = fingerprint() if settings.backend is BackendName.CUDA else None
    facts = {"backend": settings.backend.value, "seed": str(seed), "responses": str(len(responses))}
    try:
        found: Benchmark | Rates = (
            summarise(asked, samples, machine) if _both(responses) else rates(asked, samples)
        )
    except ValueError as error:
        raise BenchmarkError(f"the responses cannot be compared: {error}") from None
    page = (
        render(found, asked, samples, facts)
        if isinstance(found, Benchmark)
        else render_one(found, asked, samples, facts, machine)
    )
    _write(out, found, samples, page)
    return found.trained if isinstance(found, Benchmark) else found


def _judged(
    problems: dict[str, Problem], responses: Sequence[Response], settings: EvaluationSettings, seed: int
) -> list[Sample]:
    requests = [Request(problems[one.problem_id], one.response) for one in responses]
    with ExitStack() as stack:
        stopwatch = None
        if settings.backend is BackendName.CUDA:
            from evaluation.backends.cuda import CudaBackend
            from evaluation.speed import Stopwatch
            from evaluation.timing import REPORT

            backend = CudaBackend(settings)
            stack.callback(backend.close)
            stopwatch = stack.enter_context(Stopwatch(backend, REPORT))
        pool = stack.enter_context(EvaluationPool(settings, stopwatch=stopwatch))
        checks = pool.evaluate(requests, seed=seed)
        aligned = pool.evaluate(requests, seed=seed, sizes=SizeSet.ALIGNED)
        timings = [pool.timing(request) for request in requests]
    index: Counter[tuple[str, Contender]] = Counter()
    samples = []
    for one, check, other, timing in zip(responses, checks, aligned, timings, strict=True):
        key = (one.problem_id, one.contender)
        samples.append(
            Sample(
                problem_id=one.problem_id, contender=one.contender, index=index[key], response=one.response,
                checks=check, aligned=other, roofline=timing.roofline_fraction if timing else None,
            )
        )  # fmt: skip
        index[key] += 1
    return samples


def _asked(problems: Sequence[Problem], responses: Sequence[Response]) -> list[Problem]:
    """The problems that have responses, in their own order."""
    wanted = {one.problem_id for one in responses}
    unknown = sorted(wanted - {p.id for p in problems})
    if unknown:
        raise BenchmarkError(f"{len(unknown)} responses name no problem of the file; one is {unknown[0]!r}")
    if not wanted:
        raise BenchmarkError("the file has no responses")
    return [p for p in problems if p.id in wanted]


def _both(responses: Sequence[Response]) -> bool:
    return {one.contender for one in responses} == set(Contender)


def _write(out: Path, found: Benchmark | Rates, samples: Sequence[Sample], page: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / "report.html").write_text(page, encoding="utf-8")
    with (out / "responses.jsonl").open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(sample.model_dump_json() + "\n")
