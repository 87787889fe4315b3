"""Benchmarks any model on any problems: `python -m tasks.benchmark --model MODEL --problems FILE -n 8`.

MODEL is a Hugging Face folder, a registered model (`models:/warpsmith-cpu@champion`), or a JSONL file of
responses that something else wrote. FILE is the problems.jsonl of a prepare stage, or what `data.sources`
takes: rows with a program under `pytorch` or `program`, or a folder of Python files. Sampling, prompts and
the evaluator are those of the profile. The report, its table, all responses and the best kernels go to a
folder and to MLflow.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.prompts import chat, render
from data.sources import PROGRAM_FIELDS, read_sources
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem, Split
from evaluation.reference.pool import ReferencePool
from evaluation.report.run import WRITTEN, Response, make_folder, read_table, run
from evaluation.report.summary import Benchmark, Contender, Rates
from evaluation.rows import read_rows
from tasks.evaluate import generate
from tasks.layout import Layout
from tasks.profile import Profile, load_profile
from tasks.registry import model_folder
from tasks.tracking import Tracking

_REGISTERED = "models:/"
#: Samples that a model gives to a problem unless `-n` says otherwise.
_SAMPLES = 4


@dataclass(frozen=True)
class Job:
    """What to benchmark."""

    model: str
    problems: tuple[Problem, ...]
    samples_per_problem: int | None
    """None is the usual number; a file of responses has its own."""
    out: Path


@dataclass(frozen=True)
class Done:
    """What a benchmark gave."""

    found: Benchmark | Rates
    problems: int
    """How many were judged: a file of responses may leave some out."""
    run_id: str
    """Of the run in MLflow."""

    @property
    def line(self) -> str:
        """The headline."""
        rates = self.found.trained if isinstance(self.found, Benchmark) else self.found
        passes = ", ".join(f"pass@{k} {share:.1%}" for k, share in rates.pass_at_k.items())
        return f"{passes} on {self.problems} problem{'' if self.problems == 1 else 's'}"


def benchmark(layout: Layout, profile: Profile, job: Job) -> Done:
    """Sample the model, judge it and write the report.

    Raises:
        WarpsmithError: for what the user can put right.
    """
    make_folder(job.out)
    tracking = Tracking(layout)
    responses = _responses(tracking, profile, job)
    found = run(
        job.problems,
        responses,
        profile.evaluation,
        seed=profile.benchmark.check_seed,
        out=job.out,
        facts={"model": job.model, "profile": profile.name},
    )
    return Done(found, len({one.problem_id for one in responses}), _log(tracking, job, found))


def _responses(tracking: Tracking, profile: Profile, job: Job) -> list[Response]:
    """The responses of a file, or a model's own."""
    path = Path(job.model)
    if path.is_file():
        if job.samples_per_problem is not None:
            raise WarpsmithError(f"{path} is a file of responses, which has its own number of them; omit -n")
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
    samples = job.samples_per_problem or _SAMPLES
    settings = profile.benchmark.model_copy(update={"samples_per_problem": samples})
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
    return [Response(problem_id=draft.problem.id, response=draft.response) for draft in drafts]


def _log(tracking: Tracking, job: Job, found: Benchmark | Rates) -> str:
    """Leave everything in MLflow, under a run of its own."""
    run_id = tracking.benchmark_run(job.model)
    tracking.log_metrics(run_id, found.metrics("benchmark"))
    for name in WRITTEN:
        tracking.log_path(run_id, job.out / name)
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
        done = benchmark(layout, profile, job)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"{done.line}; {job.out / 'report.html'}, MLflow run {done.run_id}")
    return 0


def _problems(path: Path, split: str | None) -> tuple[Problem, ...]:
    found = _published(path) if _is_source(path) else read_rows(Problem, path)
    problems = tuple(one for one in found if split is None or one.split == split)
    if not problems:
        raise WarpsmithError(f"{path} has no {split or ''} problems".replace("  ", " "))
    return problems


def _is_source(path: Path) -> bool:
    """Whether `path` holds programs as published, rather than the prepare stage's problems."""
    if path.is_dir():
        return True
    try:
        with path.open("rb") as lines:
            row = json.loads(next((line for line in lines if line.strip()), b"{}"))
    except (OSError, ValueError, RecursionError):
        return False  # `read_rows` says what is wrong with it
    return isinstance(row, dict) and any(name in row for name in PROGRAM_FIELDS)


def _published(path: Path) -> Sequence[Problem]:
    """The programs of a source that are problems; the others are counted, with the first reason."""
    with ReferencePool() as reference:
        reading = read_sources(path, reference)
    if reading.refused:
        first = reading.refused[0]
        left_out = f"{len(reading.refused)} of {reading.rows} rows of {path} are no problems and left out"
        print(f"{left_out}; {first.name}: {first.reason}", file=sys.stderr)
    return reading.problems


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="HF folder, models:/NAME@ALIAS or responses.jsonl")
    parser.add_argument("--problems", type=Path, required=True, help="problems.jsonl, or rows as published")
    parser.add_argument(
        "--split", choices=[split.value for split in Split], help="only problems of this split"
    )
    samples = f"samples a problem (default {_SAMPLES}); not with a file of responses"
    parser.add_argument("-n", type=_positive, metavar="N", help=samples)
    parser.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for the report")
    parser.add_argument("--profile", default="cpu", help="whose sampling, prompts and evaluator to use")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:  # `isdigit` is true of "²", which `int` refuses
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
