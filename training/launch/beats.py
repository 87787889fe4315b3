"""Signs of life that the launchers of several nodes give each other, on the disk that they share.

A process that dies closes its connections, and the others notice. A machine that loses its power closes none:
the others would wait as long as a rollout may take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: In a node's folder of reports: a number that grows, and that its launcher has ended by itself.
_ALIVE, _GONE = "alive", "gone"


@contextmanager
def beating(
    folder: Path, lost: Callable[[str], object], *, every_s: float = 5.0, silence_s: float = 300.0
) -> Iterator[None]:
    """Within it this node gives signs of life, and calls `lost` once if another one stops to.

    Args:
        folder: this node's reports, beside those of the others.
        lost: is told which node, in a sentence; from another thread.
        every_s: seconds between two signs.
        silence_s: how long another node may show none; a shared disk may hide them for a while.
    """
    ended = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(folder, lost, ended, every_s, silence_s), name="beats", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        (folder / _GONE).touch()


def _watch(
    folder: Path, lost: Callable[[str], object], ended: threading.Event, every_s: float, silence_s: float
) -> None:
    signs: dict[Path, str] = {}
    seen: dict[Path, float] = {}
    count = 0
    while not ended.wait(every_s):
        count += 1
        _write(folder / _ALIVE, str(count))
        for other in folder.parent.glob("node-*"):
            sign = _read(other / _ALIVE)
            if other == folder or not sign or (other / _GONE).exists():
                continue
            if sign != signs.get(other):  # what an earlier run left does not change
                if other in signs:
                    seen[other] = time.monotonic()
                signs[other] = sign
            elif time.monotonic() - seen.get(other, time.monotonic()) > silence_s:
                lost(f"{other.name} has given no sign of life for {silence_s:.0f} s; is the machine down?")
                return


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError:  # a full disk, perhaps; the run has a word to say about that itself
        return


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
