"""Compares answers with labels by math-verify, in confined processes with a hard deadline.

An answer on which the verifier hangs, dies or raises is a wrong one, with the reason; what fails by no fault
of the answer is tried once more and then NOT_JUDGED. Nothing in a response can raise anything.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from evaluation.closing import Closing
from evaluation.errors import WarpsmithError
from evaluation.math.answer import NoAnswer, final_answer
from evaluation.math.verdict import MathStatus, MathVerdict
from evaluation.reference import frames
from evaluation.reference.process import WorkerDied
from evaluation.reference.workers import ForkPool

_ATTEMPTS = 2
_WALL_FACTOR = 20.0
"""Wall-clock seconds allowed per CPU second: parsing never sleeps, so only a busy machine needs them."""
_MEMORY_MB = 1024
_REPLY_BYTES = 1 << 16
_SHOWN = 80
"""Characters of an answer in a reason."""
_WHOLE = re.compile(r"[+-]?\d{1,40}")

Question: TypeAlias = tuple[str, str]
"""A label and a response, or the answer in it."""


class LabelError(Exception):
    """The answer that a question comes with cannot be compared with anything."""


class MathPool(Closing):
    """Verdicts on answers; a context manager."""

    def __init__(self, workers: int = 1, *, cpu_seconds: int = 3, require_confinement: bool = False) -> None:
        """Compare in `workers` processes, `cpu_seconds` long at most; nothing starts before it is needed."""
        self._cpu_seconds, self._workers = cpu_seconds, workers
        self._forks = ForkPool(
            "evaluation.math.fork_server",
            "math_verify",
            workers=workers,
            cpu_seconds=cpu_seconds,
            wall_seconds=_WALL_FACTOR * cpu_seconds,
            memory_mb=_MEMORY_MB,
            reply_bytes=_REPLY_BYTES,
            require_confinement=require_confinement,
        )

    def close(self) -> None:
        """End the workers."""
        self._forks.close()

    def evaluate(self, questions: Sequence[Question]) -> list[MathVerdict]:
        """Verdicts on (label, response) in their order; the same answer to the same label is compared once.

        Raises WarpsmithError where no worker starts; with a label that is no mathematics nothing is judged.
        """
        answers = [(label, final_answer(response)) for label, response in questions]
        pairs = dict.fromkeys((label, found) for label, found in answers if isinstance(found, str))
        with ThreadPoolExecutor(self._workers) as threads:
            verdicts = dict(zip(pairs, threads.map(self._verdict, pairs), strict=True))
        return [
            MathVerdict(status=MathStatus.NO_ANSWER, reason=found.reason)
            if isinstance(found, NoAnswer)
            else verdicts[label, found]
            for label, found in answers
        ]

    def unusable(self, labels: Iterable[str]) -> dict[str, str]:
        """Of these labels those that not even equal answers would match, with the reason."""
        reasons = {}
        for label in dict.fromkeys(labels):
            try:
                verdict = self._compare(label, label)
            except LabelError as error:
                reasons[label] = str(error)
                continue
            if not verdict.judged:
                raise WarpsmithError(f"the label {label[:_SHOWN]!r} was not judged: {verdict.reason}")
            if not verdict.correct:
                reasons[label] = verdict.reason
        return reasons

    def _verdict(self, pair: Question) -> MathVerdict:
        try:
            return self._compare(*pair)
        except LabelError as error:
            return MathVerdict(status=MathStatus.NOT_JUDGED, reason=str(error))

    def _compare(self, label: str, answer: str) -> MathVerdict:
        """The verdict on an answer; raises LabelError for a label that is no mathematics."""
        if _WHOLE.fullmatch(label) and _WHOLE.fullmatch(answer):  # most are, and need no algebra
            return _verdict(int(label) == int(answer), str(int(answer)), label, answer)
        reason = ""
        for _ in range(_ATTEMPTS):
            try:
                status, data = self._forks.exchange([{"label": label, "answer": answer}])
                if status == 0:
                    return _read_reply(data, label, answer)
                return self._ended(status, answer)
            except (WorkerDied, frames.FrameError) as error:
                reason = str(error)
        return MathVerdict(status=MathStatus.NOT_JUDGED, reason=f"the verifier failed: {reason}")

    def _ended(self, status: int, answer: str) -> MathVerdict:
        """What it means that the comparing process was ended."""
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number in (signal.SIGXCPU, signal.SIGKILL):
            reason = f"comparing the answer {_shown(answer)} took more than {self._cpu_seconds} s of CPU time"
            return MathVerdict(status=MathStatus.TIMEOUT, reason=reason)
        how = signal.strsignal(number) if number else f"exit status {os.waitstatus_to_exitcode(status)}"
        reason = f"the verifier broke on the answer {_shown(answer)} ({how})"
        return MathVerdict(status=MathStatus.BROKEN, reason=reason)


def _read_reply(data: bytes, label: str, answer: str) -> MathVerdict:
    """A reply as a verdict; raises FrameError for what no verifier of ours sends."""
    results, _ = frames.unpack_reply(data)
    reply: Any = results[0] if len(results) == 1 else None
    if isinstance(reply, dict) and isinstance(reply.get("error"), str):
        if reply.get("of") == "label":
            raise LabelError(f"the label {_shown(label)} is no answer ({reply['error']}); correct its row")
        reason = f"the verifier broke on the answer {_shown(answer)} ({reply['error']})"
        return MathVerdict(status=MathStatus.BROKEN, reason=reason)
    try:
        equal, read = reply["value"]["equal"], reply["value"]["read"]
    except (TypeError, KeyError):
        raise frames.FrameError("a reply without a verdict") from None
    if not isinstance(equal, bool) or not isinstance(read, str):
        raise frames.FrameError("a reply that is no verdict")
    if not read:
        return MathVerdict(status=MathStatus.NO_ANSWER, reason=f"{_shown(answer)} is no mathematics")
    return _verdict(equal, read, label, answer)


def _verdict(equal: bool, read: str, label: str, answer: str) -> MathVerdict:
    if equal:
        return MathVerdict(status=MathStatus.CORRECT, reason="", answer=read)
    reason = f"the answer {_shown(answer)} is not {_shown(label)}"
    return MathVerdict(status=MathStatus.WRONG, reason=reason, answer=read)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
