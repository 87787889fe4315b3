"""The questions of a night: what is asked, the rows that training reads, and which of them can be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from data.settings import Task
from data.sources.rows import Kept, Question
from evaluation.errors import WarpsmithError
from evaluation.math.pool import MathPool
from evaluation.problem import Split


@dataclass(frozen=True)
class Asked:
    """A question with its split."""

    question: Question
    split: Split
    source: str
    """As the profile names it."""
    whole_number: bool
    """Whether its source has whole numbers as answers, and nothing else."""
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: Kept, source: str, whole_number: bool) -> Asked:
        """A row of a source that is a question."""
        if not isinstance(kept.item, Question):
            raise TypeError(f"{kept.place} is no question")
        return cls(kept.item, kept.split, str(source), whole_number, kept.metadata)

    @property
    def about(self) -> dict[str, Any]:
        """The metadata of its rows."""
        return {
            **self.metadata,
            "task": Task.MATH.value,
            "problem_id": self.question.id,
            "split": self.split.value,
            "source": self.source,
            "whole_number": self.whole_number,
        }

    def prompt_row(self) -> dict[str, Any]:
        """In slime's format: chat messages, label, metadata."""
        return {"prompt": list(self.question.messages), "label": self.question.label, "metadata": self.about}

    def sft_row(self) -> dict[str, Any]:
        """As a conversation that ends in its solution."""
        said = {"role": "assistant", "content": self.question.solution}
        return {"messages": [*self.question.messages, said], "metadata": {**self.about, "verified": "answer"}}


def refused_by_verifier(asked: Sequence[Asked], workers: int) -> dict[str, str]:
    """Why questions cannot be judged, by id: the verifier does not take label or solution for right.

    Raises WarpsmithError where the verifier itself fails.
    """
    with MathPool(workers) as pool:
        wrong = pool.unusable(one.question.label for one in asked)
        solved = [one for one in asked if one.question.solution and one.question.label not in wrong]
        verdicts = pool.evaluate([(one.question.label, one.question.solution) for one in solved])
    reasons = {one.question.id: wrong[one.question.label] for one in asked if one.question.label in wrong}
    for one, verdict in zip(solved, verdicts, strict=True):
        if not verdict.judged:
            raise WarpsmithError(f"the solution of {one.question.id} was not judged: {verdict.reason}")
        if not verdict.correct:
            reasons[one.question.id] = f"its solution is not right: {verdict.reason}"
    return reasons


def solved_rows(asked: Sequence[Asked], most: int) -> list[dict[str, Any]]:
    """At most so many training questions with their solutions, as conversations."""
    solved = [one for one in asked if one.split is Split.TRAIN and one.question.solution]
    return [one.sft_row() for one in solved[:most]]
