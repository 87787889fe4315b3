"""The held-out questions of a night: judging the answers of both models, and their part of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import WarpsmithError
from evaluation.math.pool import MathPool
from evaluation.report.comparison import MixedBenchmark, mixed
from evaluation.report.math_html import math_page, math_section
from evaluation.report.math_summary import MathBenchmark, MathSample, summarise_math
from evaluation.report.summary import Benchmark, Contender
from evaluation.settings import EvaluationSettings
from training.rollout.prompts import PromptRow
from training.rollout.rewards.math import task_of
from training.settings.rollout import MATH


@dataclass(frozen=True)
class Answered:
    """A response to the prompt of a problem or a question, before it is judged."""

    contender: Contender
    problem_id: str
    index: int
    """Of the response among the model's responses to it."""
    text: str
    tokens: int
    truncated: bool


@dataclass(frozen=True)
class Questions:
    """What was asked."""

    rows: Mapping[str, PromptRow]
    """By id."""

    @classmethod
    def of(cls, rows: Iterable[PromptRow]) -> Questions:
        """The questions among a night's prompts.

        Raises:
            WarpsmithError: if there are none.
        """
        found = {row.metadata["problem_id"]: row for row in rows if task_of(row) == MATH}
        if not found:
            raise WarpsmithError(
                "the night has no held-out questions; name a source with some (aime:PATH, arithmetic:N) in "
                "`data.sources`"
            )
        return cls(found)

    def judge(self, answers: Sequence[Answered], settings: EvaluationSettings) -> list[MathSample]:
        """The answers to these questions with their verdicts."""
        mine = [one for one in answers if one.problem_id in self.rows]
        with MathPool(settings.workers, require_confinement=settings.require_confinement) as pool:
            verdicts = pool.evaluate([(self.rows[one.problem_id].label, one.text) for one in mine])
        print(f"[evaluate] judged {len(mine)} answers", flush=True)
        return [
            MathSample(
                problem_id=one.problem_id,
                contender=one.contender,
                index=one.index,
                response=one.text,
                tokens=one.tokens,
                truncated=one.truncated,
                verdict=verdict,
            )
            for one, verdict in zip(mine, verdicts, strict=True)
        ]

    def write(self, samples: Sequence[MathSample], facts: Mapping[str, str], out: Path) -> MathBenchmark:
        """Write the summary, the page and every response with its verdict."""
        benchmark = self._summary(samples)
        (out / "report.json").write_text(benchmark.model_dump_json(indent=2) + "\n", encoding="utf-8")
        page = math_page(benchmark, self._texts(), samples, facts)
        (out / "report.html").write_text(page, encoding="utf-8")
        with (out / "responses.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(sample.model_dump_json() + "\n" for sample in samples)
        return benchmark

    def add_to(self, kernels: Benchmark, samples: Sequence[MathSample], out: Path) -> MixedBenchmark:
        """Add to a report on kernels that is in `out` already."""
        math = self._summary(samples)
        both = mixed(kernels, math)
        (out / "report.json").write_text(both.model_dump_json(indent=2) + "\n", encoding="utf-8")
        page = (out / "report.html").read_text(encoding="utf-8").removesuffix("</html>\n")
        section = f"<h1>Held-out questions</h1>{math_section(math, self._texts(), samples)}"
        (out / "report.html").write_text(f"{page}{section}</html>\n", encoding="utf-8")
        with (out / "responses.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(sample.model_dump_json() + "\n" for sample in samples)
        return both

    def _summary(self, samples: Sequence[MathSample]) -> MathBenchmark:
        sources = {name: str(row.metadata.get("source", "questions")) for name, row in self.rows.items()}
        return summarise_math(sources, samples)

    def _texts(self) -> dict[str, tuple[str, str]]:
        return {name: (row.prompt[-1].content, row.label) for name, row in self.rows.items()}
