"""What a night would do, without doing anything: `python -m flows.run nightly --plan`.

It compares what dvc.lock says each stage was made from with what there is now, as DVC does, names the
reasons, and adds up what earlier nights took. It starts no server, opens no night and writes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tasks.night import Night, planned_night, recorded_night
from tasks.profile import read_flags
from tasks.registry import peek_champion
from tasks.report.ledger import Entry, entries, expected, gpus_held, spent
from tasks.stages.dvc_stage import lock_file
from tasks.stages.pipeline import RESULT, stage_entries

#: Reasons of one kind that are named; of more, their number.
_NAMED = 3


@dataclass(frozen=True)
class StagePlan:
    """What would become of a stage."""

    stage: Stage
    reasons: tuple[str, ...]
    """Why it is out of date; none if it is not."""
    cost: Entry | None
    """What it took in earlier nights, if it has run before."""


@dataclass(frozen=True)
class Plan:
    """What would become of a night."""

    night: Night
    is_new: bool
    stages: tuple[StagePlan, ...]
    champion: str | None
    """Whom the night's model would have to beat."""
    free_bytes: int
    gpus: int
    spent: tuple[float, float, float]
    budget: str
    """What the night may use at most; empty for no limit."""


def plan(layout: Layout, name: str | None, flags: Sequence[str]) -> Plan:
    """The plan of a night with these flags.

    Raises:
        WarpsmithError: for what the night itself would refuse at once.
    """
    profile, overrides = read_flags(layout, flags)
    wanted = name or profile.night
    champion = peek_champion(layout)
    night = planned_night(layout, wanted, lambda: champion and champion[1], overrides)
    found = entries(layout)
    limits = [f"{value:g} {name.replace('_', '-')}" for name, value in profile.budget if value is not None]
    return Plan(
        night=night,
        is_new=recorded_night(layout, night.name) is None,
        stages=tuple(_stages(layout, night, found)),
        champion=champion
        and f"version {champion[0]} of warpsmith-{layout.profile}, of night {champion[1].night}",
        free_bytes=shutil.disk_usage(layout.root).free,
        gpus=gpus_held(profile),
        spent=spent(found, night.name),
        budget=", ".join(limits),
    )


def plan_text(layout: Layout, planned: Plan) -> str:
    """The plan for the terminal."""
    night = planned.night
    start = f"the champion of {night.champion.night}" if night.champion else "the base model"
    kind = "a new night" if planned.is_new else "opened before"
    lines = [f"Night {night.name} of profile {layout.profile}, {kind}, would start from {start}", ""]
    for one in planned.stages:
        what = "up to date" if not one.reasons else "runs"
        lines.append(f"  {one.stage:<10}{what:<12}{_cost(one):<34}{'; '.join(one.reasons)}".rstrip())
    runs = [one for one in planned.stages if one.reasons]
    lines += ["", *_sum(planned, runs)]
    against = planned.champion or "nobody yet: the first model that solves something is promoted"
    lines.append(f"  its model is measured against {against}")
    lines.append("  a stage that ran before with the same inputs comes from DVC's cache instead")
    return "\n".join(lines)


def _stages(layout: Layout, night: Night, found: Sequence[Entry]) -> list[StagePlan]:
    pipeline = stage_entries(layout)
    locked = _locked(layout)
    runs: dict[str, Stage] = {}
    planned = []
    for stage in Stage:
        entry = pipeline[stage]
        reasons = _reasons(layout, night, entry, locked.get(stage), runs)
        if reasons:
            runs |= {path: stage for path in _outs(entry)}
        steps = night.result.get(stage, {}).get("steps") or night.machine.get(stage, {}).get("steps")
        planned.append(StagePlan(stage, tuple(reasons), expected(found, stage, steps)))
    return planned


def _locked(layout: Layout) -> Mapping[str, Any]:
    path = lock_file(layout)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    except yaml.YAMLError:
        return {}  # the night drops a file that was cut short
    return found.get("stages", {}) if isinstance(found, dict) else {}


def _reasons(
    layout: Layout,
    night: Night,
    entry: Mapping[str, Any],
    locked: Mapping[str, Any] | None,
    runs: Mapping[str, Stage],
) -> list[str]:
    """Why a stage is out of date, in words; `runs` are the outputs of stages that will run before it."""
    after = sorted({runs[path] for path in entry.get("deps", ()) if path in runs}, key=list(Stage).index)
    reasons = [f"after {', '.join(after)}"] if after else []
    if locked is None:
        return [*reasons, "has not run here"]
    before = {dep["path"]: dep["md5"] for dep in locked.get("deps", ())}
    kept = [path for path in entry.get("deps", ()) if path not in runs]
    changed = [path for path in kept if before.get(path) != _md5(layout.root / path)]
    reasons += _named("changed", changed)
    reasons += _settings(night, entry, locked)
    made = {out["path"]: out["md5"] for out in locked.get("outs", ())}
    lost = [path for path in _outs(entry) if made.get(path) != _md5(layout.root / path)]
    return reasons + _named("missing or not what it was", lost)


def _settings(night: Night, entry: Mapping[str, Any], locked: Mapping[str, Any]) -> list[str]:
    """Which parameters differ from those that the stage ran with."""
    now, reasons = night.model_dump(mode="json"), []
    before: dict[str, Any] = {}
    for values in locked.get("params", {}).values():
        before |= values
    for group in entry.get("params", ()):
        for key in (key for keys in group.values() for key in keys):
            value = now
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None  # type: ignore[assignment]
            if before.get(key) != value:
                reasons += _differences(key.removeprefix(RESULT), before.get(key), value)
    return reasons[:_NAMED] + ([f"{len(reasons) - _NAMED} more settings"] if len(reasons) > _NAMED else [])


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [one for key in keys for one in _differences(f"{name}.{key}", before.get(key), now.get(key))]
    same = before == now or _number(before) == _number(now) is not None
    return [] if same else [f"{name} {_short(before)} \u2192 {_short(now)}"]


def _number(value: Any) -> float | None:
    """YAML's versions disagree whether 1e-08 is a number."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _short(value: Any) -> str:
    text = str(value.get("night", value)) if isinstance(value, dict) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _outs(entry: Mapping[str, Any]) -> list[str]:
    named = [*entry.get("outs", ()), *entry.get("metrics", ()), *entry.get("plots", ())]
    return [one if isinstance(one, str) else next(iter(one)) for one in named]


def _md5(path: Path) -> str | None:
    return path_md5(path) if path.exists() else None


def _named(what: str, paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return [f"{', '.join(paths[:_NAMED])}{more} {what}"]


def _cost(one: StagePlan) -> str:
    if not one.reasons:
        return ""
    if one.cost is None:
        return "cost unknown"
    return f"about {_time(one.cost.seconds)}, {one.cost.bytes / 2**20:.0f} MiB"


def _sum(planned: Plan, runs: Sequence[StagePlan]) -> list[str]:
    """What all of it takes, and whether there is room."""
    known = [one.cost for one in runs if one.cost is not None]
    unknown = len(runs) - len(known)
    seconds = sum(cost.seconds for cost in known)
    cores = sum(cost.core_hours for cost in known)
    needed = sum(cost.bytes for cost in known)
    takes = f"{planned.gpus * seconds / 3600:.2f} GPU-hours, {cores:.2f} core-hours"
    said = f"  in all about {_time(seconds)}, {takes}"
    if unknown:
        said += f", and {unknown} stage{'s' if unknown > 1 else ''} of unknown cost"
    lines = [
        said,
        f"  disk: about {needed / 2**20:.0f} MiB, of {planned.free_bytes / 2**20:.0f} MiB that are free",
    ]
    if planned.budget:
        hours, gpu_hours, _ = planned.spent
        lines.append(f"  budget: {planned.budget}; spent so far {hours:.2f} hours, {gpu_hours:.2f} gpu-hours")
    return lines


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
