"""The `prepare` stage: draws, measures and splits the problems, and writes verified kernels to learn from.

    generator ─► sound ─► kernels ─► verified ─┐
                   └────► measured ────────────┼► the files of `data.prepared`
    sources ───► sound ─► measured ────────────┘

`python -m data.prepare --source KIND:PATH --out DIR` prepares sources alone: see `data.sources`.

The same settings and night give the same bytes. What is refused on the way is counted, and kept with
its reason in quarantine.jsonl.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from data.external import External, read_external
from data.generator import Draw, Generated, generate
from data.prepared import Prepared, Refusal, headline, summarise, write
from data.questions import refused_by_verifier
from data.settings import DataSettings
from data.solutions import Evaluator, Failure, Solution, verify, write_solutions
from data.soundness import sound
from data.table import measure
from data.trusted import TrustedReference
from evaluation.pool import EvaluationPool
from evaluation.problem import Split
from evaluation.reference.pool import ReferencePool
from evaluation.settings import EvaluationSettings

Say = Callable[[str], None]
#: Kernels between two lines of progress.
_PROGRESS_STEP = 100


def prepare(
    settings: DataSettings, evaluation: EvaluationSettings, *, night: str, out: Path, say: Say | None = None
) -> dict[str, float]:
    """Write the night's problems, prompts and SFT rows to `out`; returns the headline metrics.

    Progress goes to `say`, by default to standard output. Raises WarpsmithError for a source that
    cannot be read and for settings that ask for more problems than there are.
    """
    say = say or (lambda text: print(f"[prepare] {text}", flush=True))
    draw = generate(settings, night, say) if settings.task.has_kernels else Draw((), {})
    required = evaluation.require_confinement
    with (
        TrustedReference() as trusted,
        ReferencePool(evaluation.workers, require_confinement=required) as confined,
    ):
        drawn = [item.problem for item in draw.problems]
        external = read_external(settings, night, drawn, confined, trusted, say)
    unjudgeable = refused_by_verifier(external.asked, evaluation.workers)
    with TrustedReference() as reference, EvaluationPool(evaluation, reference) as pool:
        kept, unsound = _sound(draw.problems, reference, settings, say)
        generated = tuple(item.problem for item in kept)
        measured = tuple(measure(problem, reference) for problem in generated)
        solutions, failures = _solve(kept, settings, night, pool, say)
    prepared = Prepared(
        problems=(*generated, *external.problems),
        measured=(*measured, *external.measured),
        solutions=tuple(solutions),
        refusals=(
            *external.refused,
            *unsound,
            *map(_refused_kernel, failures),
            *_refused_questions(external, unjudgeable),
        ),
        duplicates=external.duplicates,
        rows=external.rows,
        degenerate=draw.rejected,
        asked=tuple(one for one in external.asked if one.question.id not in unjudgeable),
    )
    summary = summarise(prepared, settings, night)
    write(prepared, summary, settings, out)
    return headline(summary)


def _sound(
    drawn: Sequence[Generated], reference: ReferencePool, settings: DataSettings, say: Say
) -> tuple[list[Generated], list[Refusal]]:
    """The problems whose check rejects every answer without work; the others are refused with the reason."""
    kept: list[Generated] = []
    refused: list[Refusal] = []
    for item in drawn:
        result = sound(item, reference, refuse_idle_inputs=settings.refuse_idle_inputs)
        if isinstance(result, str):
            refused.append(Refusal("problem", item.problem.id, result, item.problem.shipped.program))
        else:
            kept.append(result)
    say(f"tried {len(drawn)} problems with answers that leave out the work, {len(refused)} refused")
    return kept, refused


def _solve(
    problems: Sequence[Generated], settings: DataSettings, night: str, pool: Evaluator, say: Say
) -> tuple[list[Solution], list[Failure]]:
    """Write kernels for the training problems and verify each."""
    trained = [item for item in problems if item.problem.split is Split.TRAIN]
    rng = random.Random(f"{settings.seed}/{night}/solutions")
    solutions = write_solutions(trained, settings, rng)

    said = 0

    def progress(done: int, total: int) -> None:
        nonlocal said
        if done - said >= _PROGRESS_STEP or said < done == total:
            said = done
            say(f"verified {done} of {total} kernels")

    return verify(solutions, pool, settings.seed, progress)


def _refused_questions(external: External, reasons: Mapping[str, str]) -> Iterator[Refusal]:
    """The questions that cannot be judged."""
    for one in external.asked:
        if one.question.id in reasons:
            text = one.question.messages[-1]["content"]
            yield Refusal("question", one.question.id, reasons[one.question.id], text)


def _refused_kernel(failure: Failure) -> Refusal:
    solution, verdict = failure.solution, failure.verdict
    name = f"{solution.problem.id}/{solution.style}"
    return Refusal("kernel", name, f"{verdict.status}: {verdict.reason}", solution.response)


if __name__ == "__main__":
    from data.sources.command import main

    sys.exit(main())
