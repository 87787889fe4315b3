"""What the processes of a run tell their launcher: why they stopped, or how the first of them failed.

Every node has a folder of its own for that, beside those of the other nodes on the shared disk. Its launcher
empties it before it starts any process, and no process runs before all launchers are there; so what lies in
any of them is of this run.
"""

from __future__ import annotations

import os
import re
import time
import traceback
from contextlib import suppress
from pathlib import Path

from evaluation.errors import WarpsmithError, causes
from evaluation.problem import Frozen

#: Environment variable by which a launcher tells its workers where to report.
REPORTS = "WARPSMITH_REPORTS"
#: Files in a node's folder: why a worker stopped, how the first one failed, that all are to stop.
STOPPED, FAILED, STOP = "stopped", "failed", "stop"
#: What gloo and NCCL say when another process is gone; that one knows why.
_LOST = re.compile(r"gloo|NCCL|by peer|TCPStore|Broken pipe")
#: Longest that a process which lost another one waits for that one's report.
_PATIENCE_S = 10.0


class Failure(Frozen):
    """How the first worker failed."""

    rank: str
    sentence: str | None
    """What the user can put right, if it is the user's to put right."""
    lost: bool
    """Whether all it knows is that another one is gone."""
    stack: str
    """Python's account of it."""


def report(name: str, text: str) -> None:
    """Tell the launcher something, unless another worker did; it is not there if torchrun runs by hand."""
    folder = os.environ.get(REPORTS)
    if folder:
        draft = Path(folder, f".{name}.{os.getpid()}")
        draft.write_text(text)
        with suppress(FileExistsError):
            os.link(draft, Path(folder, name))


def report_failure(error: BaseException, explained: WarpsmithError | None) -> None:
    """Tell the launcher how this worker failed, after the one that it lost, if it lost one."""
    lost = any(isinstance(link, RuntimeError) and _LOST.search(str(link)) for link in causes(error))
    if lost:
        _wait_for_failure()
    failure = Failure(
        rank=os.environ.get("RANK", "0"),
        sentence=None if lost or explained is None else str(explained),
        lost=lost,
        stack="".join(traceback.format_exception(error)),
    )
    report(FAILED, failure.model_dump_json())


def read_failure(folder: Path, log: Path) -> Failure | None:
    """How the first worker failed, of any node, if one did and said so; its stack goes to the file `log`."""
    log.unlink(missing_ok=True)
    failures = [Failure.model_validate_json(path.read_text()) for path in _failed(folder)]
    if not failures:
        return None
    failure = min(failures, key=lambda one: one.lost)
    with suppress(OSError):  # a full disk may be what failed
        log.write_text(failure.stack)
    return failure


def _wait_for_failure() -> None:
    """Give another worker the time to say why it fails; one that was killed never does."""
    folder, deadline = os.environ.get(REPORTS), time.monotonic() + _PATIENCE_S
    while folder and not _failed(Path(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _failed(folder: Path) -> list[Path]:
    """The reports of failures beside and in a node's folder, its own first."""
    mine = folder / FAILED
    others = sorted(set(folder.parent.glob(f"*/{FAILED}")) - {mine})
    return [path for path in (mine, *others) if path.exists()]
