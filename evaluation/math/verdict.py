"""What became of an answer to a question."""

from __future__ import annotations

from enum import StrEnum

from evaluation.problem import Frozen


class MathStatus(StrEnum):
    """The outcome of a comparison with the label."""

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"  #: nothing in the response is a final answer, or it is no mathematics
    TIMEOUT = "timeout"  #: comparing it took too long
    BROKEN = "broken"  #: the verifier could not go through with it
    NOT_JUDGED = "not_judged"  #: the evaluator itself failed: it says nothing of the answer


class MathVerdict(Frozen):
    """What a response is worth, and why."""

    status: MathStatus
    reason: str
    """One sentence; empty where it is correct."""
    answer: str = ""
    """The final answer as it was read, so that equal ones count as the same; empty where there is none."""

    @property
    def correct(self) -> bool:
        """Whether the answer equals the label."""
        return self.status is MathStatus.CORRECT

    @property
    def judged(self) -> bool:
        """Whether the verdict says anything of the answer."""
        return self.status is not MathStatus.NOT_JUDGED
