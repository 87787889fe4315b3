"""Decides on a night's model, registers it, and remembers the decision, so that it is made once."""

from __future__ import annotations

from pydantic import ValidationError

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from evaluation.report.comparison import Comparison, read_comparison
from tasks.disk.files import write_atomically
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest
from tasks.models.gate import Decision, decide
from tasks.night import Champion, Night, active_settings
from tasks.registry import Registry


class Promotion(Frozen):
    """What was decided about which model."""

    night: str
    model_md5: str
    report_md5: str
    version: str
    """Of the registered model."""
    decision: Decision

    def rows(self) -> list[dict[str, str]]:
        """The numbers behind the decision as a table."""
        decision = self.decision
        rows = [
            {
                "what": measure.value,
                "gain": f"{gain.mean:+.4f}",
                "low": f"{gain.low:+.4f}",
                "high": f"{gain.high:+.4f}",
            }
            for measure, gain in decision.gains.items()
        ]
        lists = {"problems lost": decision.lost, "problems solved": decision.solved}
        lists |= {"stands against it": decision.blocked}
        rows += [
            {"what": f"{n}: {', '.join(v)}"[:500], "gain": str(len(v)), "low": "", "high": ""}
            for n, v in lists.items()
        ]
        for drift in decision.drifts:
            corridor = {"low": f"{drift.low:.4g}", "high": f"{drift.high:.4g}"}
            rows.append({"what": f"drifts: {drift.metric}", "gain": f"{drift.value:.4g}", **corridor})
        return rows


def night_metrics(layout: Layout) -> dict[str, float]:
    """What the active night's stages measured, by `stage/metric`."""
    made = {stage: layout.manifest(stage) for stage in Stage}
    return {
        f"{stage}/{name}": value
        for stage, path in made.items()
        if path.exists()
        for name, value in Manifest.read(path).metrics.items()
    }


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
    benchmark = read_comparison(report.read_text(encoding="utf-8"))
    champion = registry.champion()
    decision = _decide(layout, night, model_md5, benchmark, champion, registry)
    version = registry.register(night.name, model, report, model_md5)
    registry.set_decision(version, decision)
    if decision.promote:
        registry.promote(version)
    promotion = Promotion(
        night=night.name, model_md5=model_md5, report_md5=report_md5, version=version, decision=decision
    )
    write_atomically(layout.decision(night.name), promotion.model_dump_json(indent=2) + "\n")
    return promotion


def _decide(
    layout: Layout,
    night: Night,
    md5: str,
    benchmark: Comparison,
    champion: Champion | None,
    registry: Registry,
) -> Decision:
    if champion is not None and (champion.night, champion.md5) == (night.name, md5):
        return Decision(promote=True, reason="this model is the champion already")
    if registry.is_rolled_back(night.name, md5):
        return Decision(promote=False, reason="not promoted: a person has rolled this model back")
    started_from_it = (
        champion is not None and night.champion is not None and night.champion.md5 == champion.md5
    )
    return decide(
        benchmark,
        registry.champion_benchmark() if champion is not None else None,
        started_from_champion=started_from_it,
        settings=active_settings(layout)[0].gate,
        metrics=night_metrics(layout),
        trusted=registry.trusted_nights(night.name),
    )


def _recall(layout: Layout, night: str) -> Promotion | None:
    """The remembered decision; a file that cannot be read counts as none, and is written anew."""
    path = layout.decision(night)
    if not path.exists():
        return None
    try:
        return Promotion.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError:
        return None
