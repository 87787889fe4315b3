"""What becomes of a torch-extension answer: a kernel file of our contract, or a reason from a closed list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evaluation.verdict import Refusal, Status


class Reason(StrEnum):
    """Why an answer, or a row that holds one, is not taken."""

    LIBRARY = "calls a library"  #: cuBLAS, cuDNN, or torch's operators on tensors
    DATA_DEPENDENT = "data-dependent host code"  #: the host reads what a tensor holds
    NO_KERNEL = "no kernel"
    OTHER_RESULT = "other result"  #: returns other tensors than the program does, whatever the kernels do
    NOT_UNDERSTOOD = "not understood"
    NOT_CORRECT = "not correct"  #: taken over, and the judge says otherwise
    CONTRADICTS = "label contradicts compiler output"
    DUPLICATE = "duplicate"


_STATUS = {
    Reason.LIBRARY: Status.REJECTED,
    Reason.NO_KERNEL: Status.REJECTED,
    Reason.OTHER_RESULT: Status.WRONG,
}


@dataclass(frozen=True)
class Adapted:
    """An answer in our contract."""

    text: str
    """The kernel file: scratch and launch lines, then the device code."""

    @property
    def summary(self) -> str:
        """What the file has, in words."""
        counts = {kind: self.text.count(f"// {kind} ") for kind in ("launch", "scratch")}
        return f"{counts['launch']} launch and {counts['scratch']} scratch lines"


@dataclass(frozen=True)
class Refused:
    """An answer that was not taken over."""

    reason: Reason
    detail: str
    """The construct, with its line where there is one."""

    @property
    def refusal(self) -> Refusal:
        """The same as the evaluator's word on a candidate."""
        status = _STATUS.get(self.reason, Status.UNSUPPORTED)
        return Refusal(status=status, reason=f"the extension of torch is not taken over: {self}")

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class NotTakenError(Exception):
    """Ends the reading of an answer; `adapt` makes a `Refused` of it, so nobody else sees it."""

    def __init__(self, reason: Reason, detail: str, line: int = 0) -> None:
        super().__init__(detail)
        self.refused = Refused(reason, f"{detail} (line {line})" if line else detail)


def not_understood(what: str, line: int = 0) -> NotTakenError:
    """The error for a construct that is outside what is read."""
    return NotTakenError(Reason.NOT_UNDERSTOOD, what, line)


def library(what: str, line: int) -> NotTakenError:
    """The error for an answer that has a library compute."""
    return NotTakenError(Reason.LIBRARY, what, line)
