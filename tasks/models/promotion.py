"""Decides on a night's model, registers it, and remembers the decision, so that it is made once."""

from __future__ import annotations

from pydantic import ValidationError

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from evaluation.report.summary import Benchmark
from tasks.disk.files import write_atomically
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tasks.models.gate import Decision, decide
from tasks.night import Champion, Night
from tasks.registry import Registry


class Promotion(Frozen):
    """What was decided about which model."""

    night: str
    model_md5: str
    report_md5: str
    version: str
    """Of the registered model."""
    decision: Decision


def promote(layout: Layout, night: Night, registry: Registry) -> Promotion:
    """Register the night's model as challenger, and as champion if the gate says so.

    Repeating it changes nothing: every step looks for what an earlier attempt, perhaps killed, left.

    Raises:
        WarpsmithError: if the night has no benchmark yet.
    """
    model = layout.stage(Stage.EXPORT) / "model"
    report = layout.stage(Stage.EVALUATE) / "report.json"
    if not (layout.manifest(Stage.EVALUATE).exists() and report.exists()):
        raise WarpsmithError(f"night {night.name} has no benchmark yet; `make nightly` makes one")
    model_md5, report_md5 = path_md5(model), path_md5(report)
    remembered = _recall(layout, night.name)
    if remembered and (remembered.model_md5, remembered.report_md5) == (model_md5, report_md5):
        return remembered
    benchmark = Benchmark.model_validate_json(report.read_text(encoding="utf-8"))
    champion = registry.champion()
    decision = _decide(night, model_md5, benchmark, champion, registry)
    version = registry.register(night.name, model, report, model_md5)
    if decision.promote:
        registry.promote(version)
    promotion = Promotion(
        night=night.name, model_md5=model_md5, report_md5=report_md5, version=version, decision=decision
    )
    write_atomically(layout.decision(night.name), promotion.model_dump_json(indent=2) + "\n")
    return promotion


def _decide(
    night: Night, md5: str, benchmark: Benchmark, champion: Champion | None, registry: Registry
) -> Decision:
    if champion is None:
        return decide(benchmark, None, started_from_champion=False)
    if (champion.night, champion.md5) == (night.name, md5):
        return Decision(promote=True, reason="this model is the champion already")
    started_from_it = night.champion is not None and night.champion.md5 == champion.md5
    return decide(benchmark, registry.champion_benchmark(), started_from_champion=started_from_it)


def _recall(layout: Layout, night: str) -> Promotion | None:
    """The remembered decision; a file that cannot be read counts as none, and is written anew."""
    path = layout.decision(night)
    if not path.exists():
        return None
    try:
        return Promotion.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError:
        return None
