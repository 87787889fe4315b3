"""Benchmarks any model on any problems: `python -m tasks.benchmark --model MODEL --problems FILE -n 8`.

MODEL is a Hugging Face folder, a registered model (`models:/warpsmith-cpu@champion`), or a JSONL file of
responses that something else wrote. FILE is the problems.jsonl of a prepare stage, or what `data.sources`
takes: rows with a program under `pytorch` or `program`, or a folder of Python files. Sampling, prompts and
the evaluator are those of the profile. The report, its table, all responses and the best kernels go to a
folder and to MLflow. `--preset kernelbench` adds kernelbench.md and .json, whose figures can be set beside
published ones: `evaluation.report.kernelbench`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from data.prompts import chat, render
from data.sources.kinds.programs import FIELDS
from data.sources.reading import read_source
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem, Split
from evaluation.reference.pool import ReferencePool
from evaluation.report.drafts import machine_of
from evaluation.report.kernelbench import kernelbench, markdown
from evaluation.report.run import WRITTEN, Response, make_folder, read_samples, read_table, run
from evaluation.report.summary import Benchmark, Contender, Rates
from evaluation.rows import read_rows
from evaluation.timing.samples import KERNELBENCH
from tasks.disk.layout import Layout
from tasks.profile import Profile, load_profile
from tasks.registry import model_folder
from tasks.stages.evaluate import generate
from tasks.tracking.runs import Tracking

_REGISTERED = "models:/"
_KERNELBENCH = ("kernelbench.json", "kernelbench.md")
#: Samples that a model gives to a problem unless `-n` says otherwise.
_SAMPLES = 4


class Preset(StrEnum):
    """Whose protocol the report follows, besides ours."""

    KERNELBENCH = "kernelbench"


@dataclass(frozen=True)
class Job:
    """What to benchmark."""

    model: str
    problems: tuple[Problem, ...]
    samples_per_problem: int | None
    """None is the usual number; a file of responses has its own."""
    out: Path
    refused: Mapping[str, str] = field(default_factory=dict)
    """What of the set is no problem, with the reasons."""
    preset: Preset | None = None


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
    facts = {"model": job.model, "profile": profile.name, "prompt": profile.data.prompt_style.value}
    found = run(
        job.problems,
        responses,
        profile.evaluation,
        seed=profile.benchmark.check_seed,
        out=job.out,
        facts=facts,
        timing=KERNELBENCH if job.preset is Preset.KERNELBENCH else profile.benchmark.timing,
    )
    if job.preset is Preset.KERNELBENCH:
        _write_kernelbench(profile, job, facts)
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


def _write_kernelbench(profile: Profile, job: Job, facts: Mapping[str, str]) -> None:
    """The preset's two files, from the samples that the report has written."""
    samples = read_samples(job.out)
    sampling = {
        "samples per problem": str(len(samples) // len({sample.problem_id for sample in samples})),
        "sampling temperature": f"{profile.training.rollout.temperature:g}",
        "backend": profile.evaluation.backend.value,
    }
    machine = machine_of(profile.evaluation)
    report = kernelbench(
        job.problems, samples, refused=job.refused, machine=machine, facts={**facts, **sampling}
    )
    data, page = (job.out / name for name in _KERNELBENCH)
    data.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    page.write_text(markdown(report), encoding="utf-8")


def _log(tracking: Tracking, job: Job, found: Benchmark | Rates) -> str:
    """Leave everything in MLflow, under a run of its own."""
    run_id = tracking.benchmark_run(job.model)
    tracking.log_metrics(run_id, found.metrics("benchmark"))
    for name in (*WRITTEN, *(_KERNELBENCH if job.preset else ())):
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
        problems, refused = _problems(options.problems, options.split)
        job = Job(options.model, problems, options.n, options.out, refused, options.preset)
        done = benchmark(layout, profile, job)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"{done.line}; {job.out / 'report.html'}, MLflow run {done.run_id}")
    return 0


def _problems(path: Path, split: str | None) -> tuple[tuple[Problem, ...], dict[str, str]]:
    """The problems of a file or folder, and why others of it are none."""
    found, refused = _published(path) if _is_source(path) else (read_rows(Problem, path), {})
    problems = tuple(one for one in found if split is None or one.split == split)
    if not problems:
        raise WarpsmithError(f"{path} has no {split or ''} problems".replace("  ", " "))
    return problems, refused


def _is_source(path: Path) -> bool:
    """Whether `path` holds programs as published, rather than the prepare stage's problems."""
    if path.is_dir():
        return True
    try:
        with path.open("rb") as lines:
            row = json.loads(next((line for line in lines if line.strip()), b"{}"))
    except (OSError, ValueError, RecursionError):
        return False  # `read_rows` says what is wrong with it
    return isinstance(row, dict) and any(name in row for name in FIELDS)


def _published(path: Path) -> tuple[Sequence[Problem], dict[str, str]]:
    """The programs of a source that are problems, and the reasons of the others; a line says how many."""
    with ReferencePool() as reference:
        reading = read_source(str(path), reference)
    if reading.refused:
        first = reading.refused[0]
        rows = len(reading.outcomes)
        left_out = f"{len(reading.refused)} of {rows} rows of {path} are no problems and left out"
        print(f"{left_out}; {first.place}: {first.sentence}", file=sys.stderr)
    return reading.problems, {one.place: one.sentence for one in reading.refused}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="HF folder, models:/NAME@ALIAS or responses.jsonl")
    parser.add_argument("--problems", type=Path, required=True, help="problems.jsonl, or rows as published")
    parser.add_argument(
        "--split", choices=[split.value for split in Split], help="only problems of this split"
    )
    samples = f"samples a problem (default {_SAMPLES}); not with a file of responses"
    parser.add_argument("-n", type=_positive, metavar="N", help=samples)
    parser.add_argument(
        "--preset",
        type=Preset,
        choices=list(Preset),
        help="also report in another benchmark's measures, e.g. fast_p against three baselines",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for the report")
    parser.add_argument("--profile", default="cpu", help="whose sampling, prompts and evaluator to use")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:  # `isdigit` is true of "²", which `int` refuses
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
