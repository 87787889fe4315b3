"""Benchmarks any model on any problems: `python -m tasks.benchmark --model MODEL --problems FILE -n 8`.

MODEL is a Hugging Face folder, a registered model (`models:/warpsmith-cpu@champion`), or a JSONL file of
responses that something else wrote. Sampling, prompts and the evaluator are those of the profile. The report,
its table, all responses and the best kernels go to a folder and to MLflow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.prompts import chat, render
from evaluation.benchmark import Benchmark, Contender, Rates
from evaluation.benchmark_run import Response, read_table, run
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem, Split
from evaluation.rows import read_rows
from tasks.evaluate import generate
from tasks.layout import Layout
from tasks.profile import Profile, load_profile
from tasks.registry import model_folder
from tasks.tracking import Tracking

_REGISTERED = "models:/"


@dataclass(frozen=True)
class Job:
    """What to benchmark."""

    model: str
    problems: tuple[Problem, ...]
    samples_per_problem: int
    out: Path


def benchmark(layout: Layout, profile: Profile, job: Job) -> tuple[Benchmark | Rates, str]:
    """Sample the model, judge it, write the report; gives what came out and the id of the MLflow run.

    Raises:
        WarpsmithError: for what the user can put right.
    """
    tracking = Tracking(layout)
    responses = _responses(tracking, profile, job)
    facts = {"model": job.model, "profile": profile.name, "samples per problem": str(job.samples_per_problem)}
    found = run(
        job.problems,
        responses,
        profile.evaluation,
        seed=profile.benchmark.check_seed,
        out=job.out,
        facts=facts,
    )
    return found, _log(tracking, job, found)


def _responses(tracking: Tracking, profile: Profile, job: Job) -> list[Response]:
    """The responses of a file, or a model's own."""
    path = Path(job.model)
    if path.is_file():
        return read_rows(Response, path)
    if job.model.startswith(_REGISTERED):
        folder = model_folder(tracking, job.model)
    elif (path / "config.json").is_file():
        folder = path
    else:
        raise WarpsmithError(
            f"{job.model!r} is no model: give a Hugging Face folder (with config.json), a registered model "
            f"({_REGISTERED}NAME@ALIAS) or a JSONL file of responses"
        )
    settings = profile.benchmark.model_copy(update={"samples_per_problem": job.samples_per_problem})
    prompts = {one.id: chat(render(one, profile.data.prompt_style)) for one in job.problems}
    drafts = generate(
        folder,
        Contender.TRAINED,
        settings.trained_seed,
        job.problems,
        prompts,
        settings,
        profile.training,
        job.out / "sglang",
    )
    return [Response(problem_id=problem.id, response=text) for _, problem, _, text in drafts]


def _log(tracking: Tracking, job: Job, found: Benchmark | Rates) -> str:
    """Leave everything in MLflow, under a run of its own."""
    run_id = tracking.benchmark_run(job.model)
    tracking.log_metrics(run_id, found.metrics("benchmark"))
    for path in sorted(job.out.iterdir()):
        tracking.log_path(run_id, path)
    tracking.log_table(run_id, "table.json", read_table(job.out))
    tracking.finish(run_id)
    return run_id


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 where an error message says what to do."""
    options = _parser().parse_args(argv)
    layout = Layout(Path(), options.profile)
    try:
        profile = load_profile(layout)
        job = Job(options.model, _problems(options.problems, options.split), options.n, options.out)
        found, run_id = benchmark(layout, profile, job)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    rates = found.trained if isinstance(found, Benchmark) else found
    passes = ", ".join(f"pass@{k} {share:.1%}" for k, share in rates.pass_at_k.items())
    print(f"{passes} on {len(job.problems)} problems; {job.out / 'report.html'}, MLflow run {run_id}")
    return 0


def _problems(path: Path, split: str | None) -> tuple[Problem, ...]:
    problems = tuple(one for one in read_rows(Problem, path) if split is None or one.split == split)
    if not problems:
        raise WarpsmithError(f"{path} has no {split or ''} problems".replace("  ", " "))
    return problems


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="HF folder, models:/NAME@ALIAS or responses.jsonl")
    parser.add_argument("--problems", type=Path, required=True, help="problems.jsonl")
    parser.add_argument(
        "--split", choices=[split.value for split in Split], help="only problems of this split"
    )
    parser.add_argument("-n", type=_positive, default=4, metavar="N", help="samples a problem (default 4)")
    parser.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for the report")
    parser.add_argument("--profile", default="cpu", help="whose sampling, prompts and evaluator to use")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
