"""From responses to judged samples: the one way that the benchmark, the nightly evaluation and rewards share.

On a backend that times, a pool comes with a stopwatch for each GPU: reports compare with both baselines and
take their time, rewards compare with PyTorch as it stands and stop as soon as they are roughly sure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from evaluation.check import SizeSet
from evaluation.pool import EvaluationPool, ProgressCallback, Request
from evaluation.problem import Problem
from evaluation.report.summary import Contender, Sample
from evaluation.scratch import Scratch
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.machine import Fingerprint, fingerprint
from evaluation.timing.samples import AT_SHIPPED, REPORT, TimingSettings


@dataclass(frozen=True)
class Draft:
    """A response before it is judged."""

    contender: Contender
    """The model that wrote it."""
    problem: Problem
    index: int
    """Of the response among the model's responses to the problem."""
    response: str


@contextmanager
def open_pool(settings: EvaluationSettings, timing: TimingSettings | None) -> Iterator[EvaluationPool]:
    """A pool of evaluators; on the cuda backend what is correct also runs at the shipped sizes.

    It is timed there, unless `timing` is none: then only its outputs are compared.

    Raises:
        WarpsmithError: if the machine lacks what the backend needs.
    """
    with ExitStack() as stack:
        stopwatches, cubins = [], None
        if settings.backend is BackendName.CUDA:
            from evaluation.backends.cuda.backend import CudaBackend
            from evaluation.backends.cuda.visible_gpus import chosen_gpus
            from evaluation.timing.stopwatch import Stopwatch

            cubins = stack.enter_context(Scratch("warpsmith-cubins-")).path
            for device in chosen_gpus(settings.devices):
                backend = CudaBackend(settings, cubins, device=device)
                stack.callback(backend.close)
                stopwatches.append(Stopwatch(backend, timing or AT_SHIPPED, device=device))
                stack.enter_context(stopwatches[-1])
        yield stack.enter_context(EvaluationPool(settings, stopwatches=stopwatches, cubins=cubins))


def judge_drafts(
    drafts: Sequence[Draft],
    settings: EvaluationSettings,
    *,
    seed: int,
    timing: TimingSettings = REPORT,
    progress: Callable[[SizeSet], ProgressCallback] | None = None,
) -> list[Sample]:
    """Judge every draft at ragged and at aligned sizes, and time what is correct for a report.

    Args:
        drafts: what to judge.
        settings: how.
        seed: of the random inputs.
        timing: what is correct is compared with, and for how long.
        progress: gives the callback for the verdicts at one set of sizes.

    Raises:
        WarpsmithError: if the machine lacks what the backend needs.
    """
    requests = [Request(draft.problem, draft.response) for draft in drafts]
    with open_pool(settings, timing) as pool:
        checks, aligned = (
            pool.evaluate(requests, seed=seed, sizes=sizes, progress=progress(sizes) if progress else None)
            for sizes in (SizeSet.CHECKS, SizeSet.ALIGNED)
        )
        timings = [pool.timing(request) for request in requests]
    return [
        Sample(
            problem_id=draft.problem.id,
            contender=draft.contender,
            index=draft.index,
            response=draft.response,
            checks=at_ragged,
            aligned=at_aligned,
            timing=timing if at_ragged.correct else None,
        )
        for draft, at_ragged, at_aligned, timing in zip(drafts, checks, aligned, timings, strict=True)
    ]


def machine_of(settings: EvaluationSettings) -> Fingerprint | None:
    """The fingerprint of the machine that timed; `None` where nothing was timed."""
    return fingerprint() if settings.backend is BackendName.CUDA else None
