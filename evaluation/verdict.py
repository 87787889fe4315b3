"""What the evaluator says about a candidate: one status, one reason, and numbers if it is correct."""

from __future__ import annotations

from enum import StrEnum

from pydantic import model_validator

from evaluation.problem import Frozen


class Status(StrEnum):
    """Every candidate ends in exactly one of these."""

    UNPARSABLE = "unparsable"  #: no fenced block, no launch line, or a launch line that does not parse
    REJECTED = "rejected"  #: breaks a rule of the contract (names, includes, forbidden words)
    COMPILE_ERROR = "compile_error"
    LAUNCH_ERROR = "launch_error"  #: bad grid, block, shared memory, or arguments
    TIMEOUT = "timeout"  #: over the access budget or the time limit
    FAULT = "fault"  #: out of bounds, write to an input, race, divergent barrier, crash
    WRONG = "wrong"  #: ran, and the outputs are not the reference's
    NONDETERMINISTIC = "nondeterministic"
    CHEATED = "cheated"
    UNSUPPORTED = "unsupported"  #: valid CUDA that this backend cannot judge
    NOT_JUDGED = (
        "not_judged"  #: the evaluator or the reference program failed: nothing is known of the candidate
    )
    CORRECT = "correct"


class Refusal(Frozen):
    """Why a candidate went no further: what a step of the evaluation returns in place of its result."""

    status: Status
    reason: str


class Measurements(Frozen):
    """The numbers behind a `correct` verdict."""

    instances: int
    """At how many sizes the outputs were compared."""
    max_error: float
    """Largest error found, as a fraction of what is allowed (<= 1)."""
    speedup: float | None = None
    """Lower bound of the speed-up over the baseline; only a backend that times may set it."""


class Verdict(Frozen):
    """The evaluator's answer. A correct one carries its measurements; no other may."""

    status: Status
    reason: str
    measurements: Measurements | None = None

    @model_validator(mode="after")
    def _numbers_belong_to_correct(self) -> Verdict:
        if (self.status is Status.CORRECT) != (self.measurements is not None):
            raise ValueError("a verdict has measurements exactly when it is correct")
        return self

    @property
    def correct(self) -> bool:
        """Whether the candidate passed every check."""
        return self.status is Status.CORRECT

    @property
    def judged(self) -> bool:
        """Whether it says anything of the candidate."""
        return self.status is not Status.NOT_JUDGED
