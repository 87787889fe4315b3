"""What nights cost: `artifacts/<profile>/ledger.jsonl`, a line for every time that a stage was at work.

GPU-hours are those that were held, core-hours those that were used. The plan of the next night reads them,
the report divides them by what was newly solved, and a night's budget is what is left of them.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from pydantic import ValidationError

from evaluation.problem import Frozen
from evaluation.rows import scan
from tasks.disk.layout import Layout, Stage
from tasks.profile import Profile
from tasks.stages.dvc_stage import last_holder
from training.settings.launcher import LauncherKind

_HOUR_S = 3600.0


class Entry(Frozen):
    """One time that a stage was at work, to its end or not."""

    night: str
    stage: Stage
    ended: bool
    """Whether it came to its end."""
    seconds: float
    gpus: int
    """Held by the night meanwhile."""
    cpu_seconds: float
    """Of this machine's cores; a batch job's are its own affair."""
    steps: int | None = None
    """That a training stage was asked for."""
    bytes: int = 0
    """What its outputs take on the disk."""

    @property
    def gpu_hours(self) -> float:
        """That nothing else could have."""
        return self.gpus * self.seconds / _HOUR_S

    @property
    def core_hours(self) -> float:
        """That were used."""
        return self.cpu_seconds / _HOUR_S


def entries(layout: Layout) -> list[Entry]:
    """All lines that can be read, the oldest first."""
    if not layout.ledger.exists():
        return []
    found = []
    for line in scan(layout.ledger):
        try:
            found.append(Entry.model_validate_json(line.content))
        except ValidationError:
            continue  # cut off with its writer
    return found


@contextmanager
def charged(layout: Layout, profile: Profile, night: str, stage: Stage) -> Iterator[None]:
    """Write a line about what the block does, unless the stage is up to date or DVC has it in its cache.

    A disk without room for a line costs the line and nothing else.
    """
    start, used, ended, before = time.monotonic(), _cpu_seconds(), False, last_holder(layout, stage)
    try:
        yield
        ended = True
    finally:
        if last_holder(layout, stage) != before:
            entry = Entry(
                night=night,
                stage=stage,
                ended=ended,
                seconds=round(time.monotonic() - start, 1),
                gpus=gpus_held(profile),
                cpu_seconds=round(_cpu_seconds() - used, 1),
                steps=getattr(getattr(profile, stage.value, None), "steps", None),
                bytes=size(layout.stage(stage)),
            )
            _append(layout.ledger, entry)


def gpus_held(profile: Profile) -> int:
    """GPUs that a night of this profile keeps from others."""
    launcher = profile.launcher
    if launcher.kind is LauncherKind.SLURM:
        return launcher.nodes * launcher.gpus_per_node
    from evaluation.backends.cuda.visible_gpus import visible_gpus

    return visible_gpus() or 0


def spent(found: Sequence[Entry], night: str) -> tuple[float, float, float]:
    """Hours, GPU-hours and core-hours of a night so far."""
    own = [entry for entry in found if entry.night == night]
    hours = sum(entry.seconds for entry in own) / _HOUR_S
    return hours, sum(entry.gpu_hours for entry in own), sum(entry.core_hours for entry in own)


def expected(found: Sequence[Entry], stage: Stage, steps: int | None) -> Entry | None:
    """What a stage will probably take: the median of its last five ends, in proportion to its steps."""
    ends = [entry for entry in found if entry.stage is stage and entry.ended][-5:]
    if not ends:
        return None

    def scale(entry: Entry) -> float:
        return steps / entry.steps if steps and entry.steps else 1.0

    return ends[-1].model_copy(
        update={
            "seconds": median(entry.seconds * scale(entry) for entry in ends),
            "cpu_seconds": median(entry.cpu_seconds * scale(entry) for entry in ends),
            "bytes": int(median(entry.bytes for entry in ends)),
        }
    )


def cost_rows(found: Sequence[Entry], night: str, solved: int) -> list[dict[str, str]]:
    """A night's costs as a table: by stage, in all, and for each problem that is newly solved."""
    rows = []
    for stage in Stage:
        own = [entry for entry in found if entry.night == night and entry.stage is stage]
        if own:
            rows.append(_row(stage.value, *spent(own, night)))
    hours = spent(found, night)
    rows.append(_row("the night", *hours))
    if solved:
        rows.append(_row("each newly solved problem", *(one / solved for one in hours)))
    return rows


def size(folder: Path) -> int:
    """Bytes of the files in a folder; one that goes away meanwhile counts as none."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).lstat().st_size
            except OSError:
                continue
    return total


def _row(what: str, hours: float, gpu_hours: float, core_hours: float) -> dict[str, str]:
    return {
        "what": what,
        "hours": f"{hours:.3f}",
        "GPU-hours": f"{gpu_hours:.3f}",
        "core-hours": f"{core_hours:.3f}",
    }


def _cpu_seconds() -> float:
    """Of all processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _append(path: Path, entry: Entry) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_off = path.exists() and not path.read_bytes().endswith((b"\n",)) and path.stat().st_size > 0
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if cut_off else "") + entry.model_dump_json() + "\n")
    except OSError as error:
        print(f"the ledger {path} lacks a line: {error}", flush=True)
