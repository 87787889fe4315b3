"""The body of the `evaluate` stage: sample both models on the held-out problems, judge, report.

Every sample has its own random stream, named by the contender's seed, the problem and the sample's
number, so the draws of the two models are independent and none depends on the batch it was in.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evaluation.check import SizeSet
from evaluation.errors import WarpsmithError
from evaluation.problem import Problem, Split
from evaluation.report.drafts import Draft, judge_drafts, machine_of
from evaluation.report.finalists import choose_finalists, save_finalists
from evaluation.report.findings import leaks
from evaluation.report.html import render
from evaluation.report.run import write_results
from evaluation.report.summary import Benchmark, Contender, Sample, summarise
from evaluation.rows import read_lines, read_rows
from tasks.disk.layout import Stage
from tasks.profile import BenchmarkSettings
from tasks.stages.context import Context
from tasks.stages.questions import Answered, Questions
from training.rollout.prompts import read_prompts
from training.settings.jobs import TrainingSettings

Messages = Sequence[Mapping[str, str]]


def evaluate(context: Context) -> dict[str, float]:
    """Judge the start and the trained model; write the report, its table, all responses and kernels/."""
    prepared, task = context.output_of(Stage.PREPARE), context.profile.data.task
    rows = read_prompts(prepared / "prompts" / "heldout.jsonl")
    problems = read_problems(prepared / "problems.jsonl", Split.HELDOUT) if task.has_kernels else []
    questions = Questions.of(rows) if task.has_questions else None
    answers = _answers(context, {row.metadata["problem_id"]: row.messages for row in rows})
    facts, out = _facts(context), context.out
    if questions is None:
        benchmark = _judge_kernels(context, problems, answers, facts)
        return benchmark.metrics()
    judged = questions.judge(answers, context.profile.evaluation)
    if task.has_kernels:
        kernels = _judge_kernels(context, problems, answers, facts)
        return questions.add_to(kernels, judged, out).metrics()
    (out / "kernels").mkdir()  # an output of the stage, whatever the task
    return questions.write(judged, facts, out).metrics()


def _judge_kernels(
    context: Context, problems: Sequence[Problem], answers: Sequence[Answered], facts: Mapping[str, str]
) -> Benchmark:
    settings, wanted = context.profile.evaluation, context.profile.benchmark
    by_id = {problem.id: problem for problem in problems}
    drafts = [
        Draft(one.contender, by_id[one.problem_id], one.index, one.text)
        for one in answers
        if one.problem_id in by_id
    ]
    samples = judge_drafts(drafts, settings, seed=wanted.check_seed, timing=wanted.timing, progress=_Progress)
    prepared = context.output_of(Stage.PREPARE)
    leaked = leaks(read_rows(Problem, prepared / "problems.jsonl"), _learnt(prepared / "sft.jsonl"))
    benchmark = summarise(problems, samples, machine_of(settings), leaked)
    _write(context, benchmark, problems, samples, facts)
    return benchmark


def read_problems(path: Path, split: Split) -> list[Problem]:
    """The problems of one split of `problems.jsonl`.

    Raises:
        WarpsmithError: if there are none.
    """
    problems = [problem for problem in read_rows(Problem, path) if problem.split is split]
    if not problems:
        raise WarpsmithError(f"{path} has no {split} problems; raise `data.{split}` in the profile")
    return problems


def _learnt(rows: Path) -> list[str]:
    """The prompts of what SFT learns from."""
    return [row["messages"][0]["content"] for _, line in read_lines(rows) for row in [json.loads(line)]]


def sample_seed(contender_seed: int, problem_id: str, index: int) -> int:
    """The seed of one sample's random stream: 32 bits of a hash, so that no two streams are related."""
    name = f"{contender_seed}/{problem_id}/{index}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "big")


def _answers(context: Context, prompts: Mapping[str, Messages]) -> list[Answered]:
    """All responses of both models to all prompts."""
    benchmark, training = context.profile.benchmark, context.profile.training
    models = context.output_of(Stage.EXPORT)
    answers: list[Answered] = []
    for contender, folder, seed in (
        (Contender.START, models / "start", benchmark.start_seed),
        (Contender.TRAINED, models / "model", benchmark.trained_seed),
    ):
        begin = time.monotonic()
        logs = context.out / "sglang" / contender
        answers += complete(folder, contender, seed, prompts, benchmark, training, logs)
        print(f"[evaluate] sampled {contender} model in {time.monotonic() - begin:.0f} s", flush=True)
    return answers


def generate(
    folder: Path,
    contender: Contender,
    seed: int,
    problems: Sequence[Problem],
    prompts: Mapping[str, Messages],
    benchmark: BenchmarkSettings,
    training: TrainingSettings,
    logs: Path,
) -> Iterator[Draft]:
    """All samples of one model, in the order of the problems."""
    by_id = {problem.id: problem for problem in problems}
    asked = {name: prompts[name] for name in by_id}
    for one in complete(folder, contender, seed, asked, benchmark, training, logs):
        yield Draft(contender, by_id[one.problem_id], one.index, one.text)


def complete(
    folder: Path,
    contender: Contender,
    seed: int,
    prompts: Mapping[str, Messages],
    benchmark: BenchmarkSettings,
    training: TrainingSettings,
    logs: Path,
) -> Iterator[Answered]:
    """All responses of one model, in the order of the prompts, which are named by their problems."""
    from training.model.tokenizer import decode_response, encode_prompt, load_tokenizer
    from training.rollout.engine import FinishReason
    from training.rollout.open import open_engine
    from training.rollout.respond import sampling_of

    tokenizer = load_tokenizer(folder, training.model.chat_template_kwargs)
    asked = [(name, index) for name in prompts for index in range(benchmark.samples_per_problem)]
    encoded = {name: encode_prompt(tokenizer, messages) for name, messages in prompts.items()}
    rollout = training.rollout.limited(benchmark.max_new_tokens)
    with open_engine(training, folder, load_weights=True, log_dir=logs) as engine:
        completions = engine.generate(
            [encoded[name] for name, _ in asked],
            [sampling_of(rollout, tokenizer, sample_seed(seed, name, index)) for name, index in asked],
        )
    for (name, index), completion in zip(asked, completions, strict=True):
        text = decode_response(tokenizer, completion.token_ids, encoded[name])
        truncated = completion.finish_reason is FinishReason.LENGTH
        yield Answered(contender, name, index, text, len(completion.token_ids), truncated)


class _Progress:
    """Prints how many responses are judged, at most every few seconds."""

    def __init__(self, sizes: SizeSet) -> None:
        self._sizes = "aligned" if sizes is SizeSet.ALIGNED else "ragged"
        self._shown_at = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._shown_at > 5 or done == total:
            self._shown_at = now
            print(f"[evaluate] judged {done}/{total} at {self._sizes} sizes", flush=True)


def _facts(context: Context) -> dict[str, str]:
    """What produced the report, for its reader."""
    settings = context.profile.benchmark
    return {
        "night": context.night.name,
        "profile": context.profile.name,
        "sampling seeds": f"{settings.start_seed} (start), {settings.trained_seed} (trained)",
        "started from": context.night.champion.night if context.night.champion else "base model and SFT",
    }


def _write(
    context: Context,
    benchmark: Benchmark,
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    facts: Mapping[str, str],
) -> None:
    out, settings = context.out, context.profile.benchmark
    write_results(out, benchmark, render(benchmark, problems, samples, facts), problems, samples)
    print("[evaluate] the report is written; choosing the best kernels", flush=True)
    finalists = choose_finalists(problems, samples, context.profile.evaluation, seed=settings.check_seed)
    save_finalists(out / "kernels", finalists, problems, samples)
