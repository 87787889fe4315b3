"""From a response to a `Verdict`: parse, plan, build, run, compare.

The first thing wrong decides the status. Names and kinds come before compilation and numbers after it, so
that each status says how far the candidate got: a source that does not compile is never a launch error.

    parse                UNPARSABLE
    plan, names          REJECTED
    build                REJECTED, COMPILE_ERROR, UNSUPPORTED
    plan, numbers        LAUNCH_ERROR, at the check sizes and at the shipped ones
    run                  LAUNCH_ERROR, FAULT, TIMEOUT, CHEATED, UNSUPPORTED
    rehearse             FAULT, ...: parts of the launches at the shipped sizes; no outputs are compared
    compare              WRONG, NONDETERMINISTIC if only another run of the same is, else CORRECT
    time (cuda only)     CHEATED, or whatever goes wrong at the shipped sizes

Every instance gets inputs of its own seed and kind, and a problem with few instances is run on several
draws, so that every kind occurs (`evaluation.reference.draw`) and an answer that ignores its inputs cannot
pass. Expected outputs stay in this process; the candidate runs in another.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from evaluation.backends.base import Backend, Run
from evaluation.candidate import Candidate, parse
from evaluation.plan import Plan, kernels_of, plan
from evaluation.problem import Instance, Problem
from evaluation.programs.apart import told_apart
from evaluation.programs.choice import beyond
from evaluation.programs.residues import at_residues
from evaluation.reference.draw import Case, Draw, Kind, elements, spread
from evaluation.verdict import Measurements, Refusal, Status, Verdict

if TYPE_CHECKING:
    from evaluation.reference.pool import ReferencePool
    from evaluation.timing.stopwatch import Stopwatch


_RARE = 1000
"""Where the numbers of the draws at a candidate's own residues, and with equal sizes told apart, begin."""
_FEW_ELEMENTS = 10_000
"""Elements of a larger instance of which wider inputs are soon drawn, too."""


class SizeSet(StrEnum):
    """At which of a problem's sizes a candidate is judged."""

    CHECKS = "checks"  #: small ragged sizes: the verdict that counts
    ALIGNED = "aligned"  #: multiples of the usual blocks; the check sizes for a problem without any


def check(
    problem: Problem,
    text: str,
    *,
    sizes: SizeSet,
    seed: int,
    backend: Backend,
    reference: ReferencePool,
    stopwatch: Stopwatch | None = None,
) -> Verdict:
    """Judge one response, and time it if it is correct and there is a stopwatch.

    Deterministic in its arguments, but for the speed-up.

    Raises a WarpsmithError for what is not the candidate's doing: a reference program that fails, a missing
    compiler or GPU.
    """
    candidate = parse(text)
    if isinstance(candidate, Refusal):
        return refused(candidate)
    cases = draw_cases(problem, sizes, seed, reference, candidate)
    verdict = judge(candidate, cases, problem.tolerance, backend, problem.shipped)
    if stopwatch is None:
        return verdict
    from evaluation.timing.stopwatch import timed

    return timed(verdict, stopwatch, problem, candidate, seed)


def judge(
    candidate: Candidate, cases: Sequence[Case], tolerance: float, backend: Backend, shipped: Instance
) -> Verdict:
    """Judge a candidate on cases already drawn, and by its plan at the `shipped` sizes."""
    if not cases:
        return Verdict(status=Status.UNSUPPORTED, reason="the problem has no sizes to be judged at")
    kernels = kernels_of(candidate, shipped)
    if isinstance(kernels, Refusal):
        return refused(kernels)
    plans = _plans(candidate, [*(case.instance for case in cases), shipped])
    if isinstance(plans, Refusal) and plans.status is Status.REJECTED:
        return refused(plans)
    built = backend.build(candidate.source, kernels)
    if isinstance(built, Refusal):
        return refused(built)
    if isinstance(plans, Refusal):
        return refused(plans)
    *check_plans, shipped_plan = plans
    runs = [Run(plan=plan, inputs=case.trial.inputs) for plan, case in zip(check_plans, cases, strict=True)]
    outcome = backend.run(built, runs)
    if isinstance(outcome, Refusal):
        return refused(outcome)
    fault = backend.rehearse(built, shipped_plan)
    if fault is not None:
        return refused(_at(shipped, fault))
    once = [(case, got) for case, got in zip(cases, outcome.outputs, strict=True) if got is not None]
    once += [(cases[index], outputs) for index, outputs in outcome.elsewhere]
    again = [(cases[index], outputs) for index, outputs in outcome.repeats]
    verdict, repeated = _compared(once, tolerance), _compared(again, tolerance)
    if verdict.correct and not repeated.correct:
        reason = f"another run on the same inputs gives something else: {repeated.reason}"
        return Verdict(status=Status.NONDETERMINISTIC, reason=reason)
    return verdict


def refused(refusal: Refusal) -> Verdict:
    """The verdict on a candidate that went no further."""
    return Verdict(status=refusal.status, reason=refusal.reason)


def instances(problem: Problem, sizes: SizeSet) -> tuple[Instance, ...]:
    """The instances to judge at."""
    return problem.aligned if sizes is SizeSet.ALIGNED and problem.aligned else problem.checks


def problem_digest(problem: Problem, sizes: SizeSet) -> str:
    """Hash of everything in a problem that a verdict depends on (hex)."""
    digest = hashlib.sha256(repr(problem.tolerance).encode())
    for instance in (*instances(problem, sizes), *(problem.ladder if sizes is SizeSet.CHECKS else ())):
        digest.update(instance.model_dump_json().encode() + b"\n")
    return digest.hexdigest()


def draw_cases(
    problem: Problem,
    sizes: SizeSet,
    seed: int,
    reference: ReferencePool,
    candidate: Candidate | None = None,
) -> tuple[Case, ...]:
    """Inputs and expected outputs at every instance, and of every kind; all follow from `seed`.

    With a `candidate` also at the larger sizes that suit it and at residues that it names: on inputs of the
    program's own kind, for there the size is what is tried, and at one also on wider ones. Candidates of like
    sizes have the same draws.
    Raises the reference's WarpsmithError if the program fails.
    """
    identity = problem_digest(problem, sizes)
    rng = random.Random(f"{seed}/{identity}")
    larger: list[int] = []
    if candidate is not None and sizes is SizeSet.CHECKS:
        larger = beyond(problem, candidate, f"{seed}/{identity}")
    few = [problem.ladder[at] for at in larger if elements(problem.ladder[at]) <= _FEW_ELEMENTS]
    long = max(few, key=elements, default=None)
    chosen = list(enumerate(spread(instances(problem, sizes), rng, long)))
    chosen += [(len(chosen) + at, (problem.ladder[at], Kind.OWN)) for at in larger]
    if candidate is not None and sizes is SizeSet.CHECKS:
        rare = at_residues(problem, candidate.source, reference)
        rare += told_apart(problem, candidate, reference)
        chosen += [(_RARE + at, (instance, Kind.OWN)) for at, instance in enumerate(rare)]
    requests = [
        (instance, Draw(kind, _derived_seed(seed, identity, index))) for index, (instance, kind) in chosen
    ]
    trials = reference.trials(requests)
    return tuple(
        Case(instance, draw.kind, trial) for (instance, draw), trial in zip(requests, trials, strict=True)
    )


def _derived_seed(seed: int, identity: str, index: int) -> int:
    """A seed below 2**63 that no two draws share."""
    digest = hashlib.sha256(f"{seed}/{identity}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _plans(candidate: Candidate, instances: Sequence[Instance]) -> list[Plan] | Refusal:
    """A plan for every instance, or the first refusal with the sizes that caused it."""
    plans: list[Plan] = []
    for instance in instances:
        result = plan(candidate, instance)
        if isinstance(result, Refusal):
            return _at(instance, result)
        plans.append(result)
    return plans


def _at(instance: Instance, refusal: Refusal) -> Refusal:
    """A launch error names the sizes at which it happens."""
    if refusal.status is Status.REJECTED:
        return refusal
    return Refusal(status=refusal.status, reason=f"{refusal.reason} (at {_sizes(instance)})")


def _sizes(instance: Instance) -> str:
    """The named sizes in words, or the shapes of a program that names none."""
    if instance.sizes:
        return ", ".join(f"{name} = {value}" for name, value in instance.sizes.items())
    return ", ".join(f"{tensor.name} of shape {list(tensor.shape)}" for tensor in instance.inputs)


def _compared(runs: Sequence[tuple[Case, Mapping[str, np.ndarray]]], tolerance: float) -> Verdict:
    """Compare every output of every case; the first that differs decides."""
    largest = 0.0
    for case, got in runs:
        for tensor in case.instance.outputs:
            result = case.trial.judge(tensor, got[tensor.name], tolerance)
            if result.reason:
                where = f"(at {_sizes(case.instance)}, on {case.kind} inputs)"
                return Verdict(status=Status.WRONG, reason=f"{result.reason} {where}")
            largest = max(largest, result.error)
    return Verdict(
        status=Status.CORRECT,
        reason=f"equals the reference on {len(runs)} draws of inputs",
        measurements=Measurements(instances=len(runs), max_error=largest),
    )
