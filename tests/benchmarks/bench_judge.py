"""How often the judge errs: right kernels that it refuses, and wrong ones that it does not find.

    python -m tests.benchmarks.bench_judge [--backend cuda --limit 300] [--out FOLDER]

More than 500 right kernels in ten styles are judged, and mutants of them: copies with one fault planted by a
rule, each proven wrong by a witness that is not the judge (`tests.benchmarks.judge.witness`; what was proven
is remembered in the output folder). Beside the judge stands the procedure that KernelBench publishes. Prints
a report and writes it to FOLDER/BACKEND.md; asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from evaluation.errors import WarpsmithError
from evaluation.pool import EvaluationPool, Request
from evaluation.problem import Problem
from evaluation.programs.program import problem_from_program
from evaluation.reference.pool import ReferencePool
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.verdict import Verdict
from tests.benchmarks.judge.corpus import programs, right_kernels
from tests.benchmarks.judge.kernels.text import Kernel
from tests.benchmarks.judge.proof import published, witnesses
from tests.benchmarks.judge.report import Judged, report
from tests.benchmarks.judge.rules.all import Mutant, mutants


def main() -> None:
    """Judge right kernels and mutants, and report."""
    options = _options()
    kernels, wrong = right_kernels(), mutants(right_kernels(), options.per_rule)
    if options.limit:
        wrong = _sample(wrong, options.limit)
        originals = list(dict.fromkeys(mutant.original for mutant in wrong))
        kernels = originals + _sample([each for each in kernels if each not in originals], options.limit)
    proofs = witnesses(wrong, options.out / "witnesses.jsonl", options.workers)
    proven = [mutant for mutant in wrong if proofs[mutant.key]]
    settings = EvaluationSettings(backend=options.backend, workers=options.workers)
    start = time.monotonic()
    with ReferencePool(options.workers) as reference:
        names = {*(each.program for each in kernels), *(each.original.program for each in proven)}
        problems = _problems(names, reference, options.workers)
        print(f"{len(problems)} problems in {time.monotonic() - start:.0f} s", flush=True)
        requests = [Request(problems[each.program], each.response) for each in kernels]
        requests += [Request(problems[each.original.program], each.response) for each in proven]
        with EvaluationPool(settings, reference) as pool:
            verdicts = pool.evaluate(requests, seed=options.seed, progress=_progress)
    unproven = len(wrong) - len(proven)
    text = _written(kernels, proven, verdicts, proofs, {}, unproven, options)
    if options.published:  # takes long where mutants crash their processes; the judge's own part is safe
        beside = _published(proven, problems, settings, options.workers)
        text = _written(kernels, proven, verdicts, proofs, beside, unproven, options)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_judge", description=__doc__)
    parser.add_argument("--backend", choices=[name.value for name in BackendName], default="simt")
    parser.add_argument("--per-rule", type=int, default=8, help="mutants of a rule at most (default 8)")
    parser.add_argument("--limit", type=int, default=0, help="at most so many right kernels and mutants")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: cores)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbits(40), help="of the judge's draws (default: new)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("artifacts/bench_judge"), help="folder of the report"
    )
    parser.add_argument("--no-published", dest="published", action="store_false", help="the judge alone")
    return parser.parse_args()


T = TypeVar("T")


def _sample(items: Sequence[T], count: int) -> list[T]:
    return random.Random(0).sample(list(items), min(count, len(items)))


def _problems(names: set[str], reference: ReferencePool, workers: int) -> dict[str, Problem]:
    """Every program as the problem that the judge makes of it."""
    known = programs()

    def described(name: str) -> Problem:
        text = known[name].text()
        return problem_from_program(text, id=name, source="bench_judge", reference=reference)

    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(sorted(names), pool.map(described, sorted(names)), strict=True))


def _published(
    proven: Sequence[Mutant], problems: dict[str, Problem], settings: EvaluationSettings, workers: int
) -> dict[str, tuple[bool, ...]]:
    """By a mutant's key, whether the published procedure takes it for right."""
    if settings.backend is BackendName.SIMT:
        return published(proven, workers)
    from evaluation.backends.cuda.backend import CudaBackend
    from tests.benchmarks.judge.published_gpu import passes

    backend = CudaBackend(settings)
    try:
        chosen = [problems[mutant.original.program] for mutant in proven]
        answers = passes(chosen, [mutant.response for mutant in proven], backend, workers)
    finally:
        backend.close()
    return dict(zip((mutant.key for mutant in proven), answers, strict=True))


def _progress(done: int, total: int) -> None:
    if done % 100 == 0:
        print(f"judged: {done} of {total}", flush=True)


def _written(
    kernels: Sequence[Kernel],
    proven: Sequence[Mutant],
    verdicts: Sequence[Verdict],
    proofs: dict[str, str | None],
    beside: dict[str, tuple[bool, ...]],
    unproven: int,
    options: argparse.Namespace,
) -> str:
    """Write the report and return it."""
    right = list(zip(kernels, verdicts, strict=False))
    taken = {kernel for kernel, verdict in right if verdict.correct}  # a refusal of others says nothing
    judged = [
        Judged(mutant, proofs[mutant.key] or "", verdict, beside.get(mutant.key))
        for mutant, verdict in zip(proven, verdicts[len(kernels) :], strict=True)
        if mutant.original in taken
    ]
    text = f"seed {options.seed}\n\n{report(right, judged, unproven, options.backend)}\n"
    (options.out / f"{options.backend}.md").write_text(text)
    return text


if __name__ == "__main__":
    try:
        main()
    except WarpsmithError as error:
        raise SystemExit(f"error: {error}") from None
