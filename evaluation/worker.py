"""A worker process of `evaluation.pool`: judges one task after another until its connection closes.

It is a fresh interpreter (`python -m evaluation.worker FD PARENT_PID`), not a fork: the pool's owner may be a
trainer with threads and a GPU context, which must not be duplicated. It imports no torch and holds no secret.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from evaluation.backends import open_backend
from evaluation.backends.base import Backend
from evaluation.candidate import Candidate
from evaluation.check import judge
from evaluation.errors import EvaluatorFailure, WarpsmithError
from evaluation.problem import Instance
from evaluation.reference.draw import Case
from evaluation.settings import EvaluationSettings
from evaluation.verdict import Verdict

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Task:
    """One candidate to judge."""

    candidate: Candidate
    cases: tuple[Case, ...]
    tolerance: float
    shipped: Instance


@dataclass(frozen=True)
class Failure:
    """In place of a verdict: the evaluator, not the candidate, failed. After one that is not actionable the
    worker ends, because what it holds may be broken."""

    message: str
    actionable: bool
    """Whether only the user can put it right (a missing compiler); otherwise another worker may do better."""


def main(descriptor: int, parent: int) -> None:
    """Serve the pool at the other end of the socket `descriptor`: settings and a folder first, then tasks."""
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's business; it closes the connection
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Connection(descriptor) as connection:
        _serve(connection)


def _serve(connection: Connection) -> None:
    backend: Backend | None = None
    try:
        settings: EvaluationSettings
        cubins: Path | None
        settings, cubins = connection.recv()
        while True:
            task: Task = connection.recv()
            try:
                backend = backend or open_backend(settings, cubins)
                reply: Verdict | Failure = judge(
                    task.candidate, task.cases, task.tolerance, backend, task.shipped
                )
            except WarpsmithError as error:
                reply = Failure(str(error), actionable=True)
            except EvaluatorFailure as error:
                reply = Failure(str(error), actionable=False)
            except Exception as error:
                logging.exception("a candidate could not be judged")
                reply = Failure(f"{type(error).__name__}: {error}", actionable=False)
            connection.send(reply)
            if isinstance(reply, Failure):
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the pool is closed, or its process is gone
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it also comes when the owner dies: let us tidy up
        if backend is not None:
            backend.close()


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, even by SIGKILL in the middle of a task."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    from evaluation import worker  # by its name: what this process sends is of the module's own classes

    worker.main(int(sys.argv[1]), int(sys.argv[2]))
