"""Published answers in CUDA, written as extensions of torch, as verified solutions in our contract.

A row of torch2cuda's supervised set holds `cuda_code`, `is_pytorch_cuda_same` and `compiler_error_msg` beside
its program. Its label is not trusted: an answer is taken over (`evaluation.extension`) and judged, and only
what is `correct` stays. Every other row has its reason from a closed list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.solutions import Evaluator, respond
from evaluation.extension.adapt import adapt
from evaluation.extension.outcome import Adapted, Reason, Refused
from evaluation.pool import Request
from evaluation.problem import Problem
from evaluation.source_text import plain


@dataclass(frozen=True)
class Answer:
    """An answer to a problem, as published."""

    problem: Problem
    code: str
    says_correct: bool = False
    """What its label says."""
    compiler_error: str = ""
    """What the compiler said to whoever published it."""

    @classmethod
    def of(cls, problem: Problem, fields: Mapping[str, Any]) -> Answer:
        """From the columns of a row, whatever is in them."""
        code, error = fields.get("cuda_code"), fields.get("compiler_error_msg")
        return cls(
            problem,
            code if isinstance(code, str) else "",
            fields.get("is_pytorch_cuda_same") is True,
            error.strip() if isinstance(error, str) else "",
        )


def take_answers(answers: Sequence[Answer], evaluator: Evaluator, *, seed: int) -> list[Request | Refused]:
    """For each answer a correct solution in our contract, or why there is none.

    Raises a WarpsmithError if the machine lacks what the backend needs; nothing in an answer can raise.
    """
    seen: set[str] = set()
    found: list[Request | Refused] = [_request(answer, seen) for answer in answers]
    places = [at for at, one in enumerate(found) if isinstance(one, Request)]
    requests = [one for one in found if isinstance(one, Request)]
    for at, verdict in zip(places, evaluator.evaluate(requests, seed=seed), strict=True):
        if not verdict.correct:
            found[at] = Refused(Reason.NOT_CORRECT, f"{verdict.status}: {verdict.reason}")
    return found


def _request(answer: Answer, seen: set[str]) -> Request | Refused:
    """The answer as a response to be judged, unless it is seen already; notes what it sees."""
    if answer.says_correct and answer.compiler_error:
        first = answer.compiler_error.split("\n")[0]
        return Refused(Reason.CONTRADICTS, f"it is called right, and the compiler said {first:.120}")
    taken = adapt(answer.code, answer.problem)
    if not isinstance(taken, Adapted):
        return taken
    text = f"{answer.problem.id}\n{_launches(taken.text)}\n{' '.join(plain(taken.text).split())}"
    identity = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    if identity in seen:
        return Refused(Reason.DUPLICATE, f"{answer.problem.id} has the same answer already")
    seen.add(identity)
    return Request(answer.problem, respond(taken.text))


def _launches(text: str) -> str:
    """The lines that `plain` takes for comments."""
    return "\n".join(line for line in text.split("\n") if line.startswith("// "))
