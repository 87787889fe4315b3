"""The body of the `evaluate` stage: sample both models on the held-out problems, judge, report.

Every sample has its own random stream, named by the contender's seed, the problem and the sample's
number, so the draws of the two models are independent and none depends on the batch it was in.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evaluation.benchmark import Benchmark, Contender, Sample, summarise
from evaluation.check import SizeSet
from evaluation.errors import WarpsmithError
from evaluation.pool import EvaluationPool, Request
from evaluation.problem import Problem, Split
from evaluation.report import render
from evaluation.rows import read_rows
from tasks.context import Context
from tasks.layout import Stage
from tasks.profile import BenchmarkSettings
from training.config import RolloutSettings
from training.rollout.prompts import read_prompts

Messages = Sequence[Mapping[str, str]]
#: A response before it is judged: whose, to which problem, the how-manieth, and its text.
Draft = tuple[Contender, Problem, int, str]


def evaluate(context: Context) -> dict[str, float]:
    """Judge the start and the trained model; write report.json, report.html, responses.jsonl, kernels/."""
    problems = read_problems(context.output_of(Stage.PREPARE) / "problems.jsonl", Split.HELDOUT)
    samples = _judge(context, _drafts(context, problems))
    benchmark = summarise(problems, samples)
    _write(context, benchmark, problems, samples)
    return benchmark.metrics()


def read_problems(path: Path, split: Split) -> list[Problem]:
    """The problems of one split of `problems.jsonl`.

    Raises:
        WarpsmithError: if there are none.
    """
    problems = [problem for problem in read_rows(Problem, path) if problem.split is split]
    if not problems:
        raise WarpsmithError(f"{path} has no {split} problems; raise `data.{split}` in the profile")
    return problems


def sample_seed(contender_seed: int, problem_id: str, index: int) -> int:
    """The seed of one sample's random stream: 32 bits of a hash, so that no two streams are related."""
    name = f"{contender_seed}/{problem_id}/{index}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "big")


def _drafts(context: Context, problems: Sequence[Problem]) -> list[Draft]:
    rows = read_prompts(context.output_of(Stage.PREPARE) / "prompts" / "heldout.jsonl")
    prompts = {row.metadata["problem_id"]: row.messages for row in rows}
    benchmark, rollout = context.profile.benchmark, context.profile.rollout
    models = context.output_of(Stage.EXPORT)
    drafts: list[Draft] = []
    for contender, folder, seed in (
        (Contender.START, models / "start", benchmark.start_seed),
        (Contender.TRAINED, models / "model", benchmark.trained_seed),
    ):
        begin = time.monotonic()
        drafts += _generate(folder, contender, seed, problems, prompts, benchmark, rollout)
        print(f"[evaluate] sampled {contender} model in {time.monotonic() - begin:.0f} s", flush=True)
    return drafts


def _generate(
    folder: Path,
    contender: Contender,
    seed: int,
    problems: Sequence[Problem],
    prompts: Mapping[str, Messages],
    benchmark: BenchmarkSettings,
    rollout: RolloutSettings,
) -> Iterator[Draft]:
    """All samples of one model, in the order of the problems."""
    from training.rollout.engine import Sampling
    from training.rollout.local import LocalEngine
    from training.tokenizer import decode_response, encode_prompt, load_tokenizer, stop_token_ids

    tokenizer = load_tokenizer(folder)
    asked = [(problem, index) for problem in problems for index in range(benchmark.samples_per_problem)]
    engine = LocalEngine.from_pretrained(folder, batch_size=rollout.batch_size)
    completions = engine.generate(
        [encode_prompt(tokenizer, prompts[problem.id]) for problem, _ in asked],
        [
            Sampling(
                max_new_tokens=rollout.max_new_tokens,
                seed=sample_seed(seed, problem.id, index),
                temperature=rollout.temperature,
                stop_token_ids=stop_token_ids(tokenizer),
            )
            for problem, index in asked
        ],
    )
    engine.close()
    for (problem, index), completion in zip(asked, completions, strict=True):
        yield contender, problem, index, decode_response(tokenizer, completion.token_ids)


def _judge(context: Context, drafts: Sequence[Draft]) -> list[Sample]:
    requests = [Request(problem, response) for _, problem, _, response in drafts]
    seed = context.profile.benchmark.check_seed
    with EvaluationPool(context.profile.evaluation) as pool:
        checks = pool.evaluate(requests, seed=seed, sizes=SizeSet.CHECKS, progress=_Progress("ragged"))
        aligned = pool.evaluate(requests, seed=seed, sizes=SizeSet.ALIGNED, progress=_Progress("aligned"))
    return [
        Sample(
            problem_id=problem.id,
            contender=contender,
            index=index,
            response=response,
            checks=at_ragged,
            aligned=at_aligned,
        )
        for (contender, problem, index, response), at_ragged, at_aligned in zip(
            drafts, checks, aligned, strict=True
        )
    ]


class _Progress:
    """Prints how many responses are judged, at most every few seconds."""

    def __init__(self, sizes: str) -> None:
        self._sizes = sizes
        self._shown_at = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._shown_at > 5 or done == total:
            self._shown_at = now
            print(f"[evaluate] judged {done}/{total} at {self._sizes} sizes", flush=True)


def _write(
    context: Context, benchmark: Benchmark, problems: Sequence[Problem], samples: Sequence[Sample]
) -> None:
    out, settings = context.out, context.profile.benchmark
    facts = {
        "night": context.night.name,
        "profile": context.profile.name,
        "sampling seeds": f"{settings.start_seed} (start), {settings.trained_seed} (trained)",
        "started from": context.night.champion.night if context.night.champion else "base model and SFT",
    }
    (out / "report.json").write_text(benchmark.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (out / "report.html").write_text(render(benchmark, problems, samples, facts), encoding="utf-8")
    with (out / "responses.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(sample.model_dump_json() + "\n" for sample in samples)
    _write_kernels(out / "kernels", samples)


def _write_kernels(folder: Path, samples: Sequence[Sample]) -> None:
    """One correct response of the trained model for each problem that it solved."""
    folder.mkdir()
    for sample in samples:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", sample.problem_id) + ".md"
        if sample.contender is Contender.TRAINED and sample.checks.correct and not (folder / name).exists():
            (folder / name).write_text(sample.response.strip() + "\n", encoding="utf-8")
