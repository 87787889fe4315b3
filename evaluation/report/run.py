"""`python -m evaluation benchmark`: judge a file of responses and write the report.

A line of the file is one response: `{"problem_id": ..., "response": ...}`, with `"contender": "start"` or
`"trained"` where two models are to be compared, and `"thought_open": true` where the prompt ended inside a
thought whose beginning the response lacks. Every problem needs the same number of responses. Problems that
the file does not name are left out.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.answer.response import THOUGHT
from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen, Problem
from evaluation.report.drafts import Draft, judge_drafts, machine_of
from evaluation.report.finalists import choose_finalists, save_finalists
from evaluation.report.html import render, render_one
from evaluation.report.summary import Benchmark, Contender, Rates, Sample, rates, summarise, table
from evaluation.rows import read_lines, read_rows
from evaluation.settings import EvaluationSettings
from evaluation.timing.samples import REPORT, TimingSettings

#: All that a benchmark writes to its folder; fingerprint.json only where kernels are timed.
WRITTEN = ("report.json", "report.html", "responses.jsonl", "table.jsonl", "fingerprint.json", "kernels")


class BenchmarkError(WarpsmithError):
    """The responses or the problems cannot be judged as they are."""


class Response(Frozen):
    """One line of the file."""

    problem_id: str
    response: str
    contender: Contender = Contender.TRAINED
    thought_open: bool = False

    @property
    def text(self) -> str:
        """The response with the beginning of its thought."""
        return THOUGHT + self.response if self.thought_open else self.response


def run(
    problems: Sequence[Problem],
    responses: Sequence[Response],
    settings: EvaluationSettings,
    *,
    seed: int,
    out: Path,
    facts: Mapping[str, str] | None = None,
    timing: TimingSettings = REPORT,
) -> Benchmark | Rates:
    """Judge every response, time what is correct if the backend is cuda, and write the report to `out`.

    Writes `WRITTEN`. Gives the comparison of two models, or the rates of a single one. `facts` are shown on
    the page as they are; `timing` says what correct kernels are compared with.

    Raises:
        BenchmarkError: if a response names no problem, their numbers differ, or `out` cannot be written to.
        WarpsmithError: if the machine lacks what the backend needs.
    """
    if len({one.contender for one in responses}) == 1:
        responses = [one.model_copy(update={"contender": Contender.TRAINED}) for one in responses]
    asked = _asked(problems, responses)
    _require_equal_numbers(responses)
    make_folder(out)
    samples = judge_drafts(_drafts(asked, responses), settings, seed=seed, timing=timing)
    machine = machine_of(settings)
    contenders = {one.contender for one in responses}
    shown = {
        "backend": settings.backend.value,
        "seed": str(seed),
        "responses": str(len(responses)),
        "samples per problem": str(len(responses) // (len(asked) * len(contenders))),
    }
    shown |= facts or {}
    found: Benchmark | Rates
    if contenders == set(Contender):
        found = summarise(asked, samples, machine)
        page = render(found, asked, samples, shown)
    else:
        found = rates(asked, samples)
        page = render_one(found, asked, samples, shown, machine)
    write_results(out, found, page, asked, samples)
    (out / "fingerprint.json").unlink(missing_ok=True)
    if machine is not None:
        (out / "fingerprint.json").write_text(machine.model_dump_json(indent=2) + "\n", encoding="utf-8")
    save_finalists(out / "kernels", choose_finalists(asked, samples, settings, seed=seed), asked, samples)
    return found


def make_folder(out: Path) -> None:
    """Make the folder of a report: better now than after hours of judging.

    Raises:
        BenchmarkError: if it cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        reason = f"the folder {out} cannot be written to ({error.strerror})"
        raise BenchmarkError(f"{reason}; name another with --out") from None


def write_results(
    out: Path,
    found: Benchmark | Rates,
    page: str,
    problems: Sequence[Problem],
    samples: Sequence[Sample],
) -> None:
    """Write the summary, the page, every response with its verdicts, and the page's table."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (out / "report.html").write_text(page, encoding="utf-8")
    with (out / "responses.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(sample.model_dump_json() + "\n" for sample in samples)
    with (out / "table.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in table(problems, samples))


def read_samples(out: Path) -> list[Sample]:
    """Every response of the report in `out` with its verdicts."""
    return read_rows(Sample, out / "responses.jsonl")


def read_table(out: Path) -> list[dict[str, Any]]:
    """The rows of the report's table in `out`; none where there is no report."""
    path = out / "table.jsonl"
    return [json.loads(line) for _, line in read_lines(path)] if path.exists() else []


def _drafts(problems: Sequence[Problem], responses: Sequence[Response]) -> list[Draft]:
    by_id = {problem.id: problem for problem in problems}
    index: Counter[tuple[str, Contender]] = Counter()
    drafts: list[Draft] = []
    for one in responses:
        key = one.problem_id, one.contender
        drafts.append(Draft(one.contender, by_id[one.problem_id], index[key], one.text))
        index[key] += 1
    return drafts


def _asked(problems: Sequence[Problem], responses: Sequence[Response]) -> list[Problem]:
    """The problems that have responses, in their own order."""
    wanted = {one.problem_id for one in responses}
    unknown = sorted(wanted - {p.id for p in problems})
    if unknown:
        raise BenchmarkError(f"{len(unknown)} responses name no problem of the file; one is {unknown[0]!r}")
    if not wanted:
        raise BenchmarkError("the file has no responses")
    return [p for p in problems if p.id in wanted]


def _require_equal_numbers(responses: Sequence[Response]) -> None:
    """Every problem needs the same number of responses from each model, or rates would not be comparable."""
    counts = Counter((one.problem_id, one.contender) for one in responses)
    contenders = {one.contender for one in responses}
    wanted = {(one.problem_id, contender) for one in responses for contender in contenders}
    if set(counts) != wanted or len(set(counts.values())) != 1:
        raise BenchmarkError(
            "the responses cannot be compared: every problem needs the same number from each model"
        )
