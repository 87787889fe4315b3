"""A night in words: what the terminal shows at its end, and the note that MLflow shows at its top."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest
from tasks.models.promotion import Promotion
from tasks.night import Night
from tasks.stages.dvc_stage import How, Outcome

#: Where `make serve` says that it is up, and at which addresses.
SERVE_FILE = Path("artifacts", "serve.json")
_HELDOUT = "eval/heldout/"


def stage_rows(outcomes: Sequence[Outcome], manifests: Mapping[Stage, Manifest]) -> list[dict[str, str]]:
    """One row a stage: what became of it, how long its outputs took, and which MLflow run made them."""
    return [
        {
            "stage": outcome.stage,
            "outcome": outcome.how,
            "seconds": f"{manifests[outcome.stage].seconds:.0f}",
            "MLflow run": manifests[outcome.stage].mlflow_run_id,
        }
        for outcome in outcomes
    ]


def terminal_summary(
    layout: Layout,
    night: Night,
    outcomes: Sequence[Outcome],
    metrics: Mapping[str, float],
    promotion: Promotion,
    mlflow_page: str,
) -> str:
    """The last lines of `make nightly`; `mlflow_page` is where MLflow's pages list the runs."""
    pages = layout.report(night.name) / "index.html"
    report = pages if pages.exists() else layout.stage(Stage.EVALUATE) / "report.html"
    return "\n".join(
        (
            "",
            f"Night {night.name}, profile {layout.profile}",
            f"  held-out correct@1   {_gain(metrics)}",
            *(f"  at aligned sizes     {_aligned(metrics, prefix)}" for prefix in _of_kernels(metrics)),
            f"  problems             {metrics[_HELDOUT + 'problems']:.0f}",
            f"  data gate            {data_gate(layout)}",
            f"  gate                 {promotion.decision.reason}",
            *(f"  {how.value:<20} {', '.join(stages)}" for how, stages in _by_outcome(outcomes)),
            f"  report               {report}",
            f"  MLflow               {_page('mlflow_url', 'http://127.0.0.1:5000')}{mlflow_page}",
            f"  Prefect              {_page('prefect_api_url', 'http://127.0.0.1:4200')}",
        )
    )


def data_gate(layout: Layout) -> str:
    """What became of the expectations of the night's problems; warnings are named."""
    from data.expectations.page import PAGE

    folder = layout.stage(Stage.VALIDATE)
    outcomes = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    broken = [str(outcome["name"]) for outcome in outcomes if not outcome["success"]]
    if not broken:
        return f"all {len(outcomes)} expectations hold"
    held = f"{len(outcomes) - len(broken)} of {len(outcomes)} expectations hold"
    return f"{held}; a warning: {', '.join(broken)} (see {folder / 'docs' / PAGE})"


def note(
    layout: Layout,
    night: Night,
    outcomes: Sequence[Outcome],
    manifests: Mapping[Stage, Manifest],
    promotion: Promotion,
) -> str:
    """Markdown for the night's parent run: what a person wants to know in a minute."""
    metrics = manifests[Stage.EVALUATE].metrics
    origin = f"the champion of {night.champion.night}" if night.champion else "the base model and SFT"
    rows = [
        f"| {row['stage']} | {row['seconds']} | `{row['MLflow run']}` |"
        for row in stage_rows(outcomes, manifests)
    ]
    return "\n".join(
        (
            f"## Night {night.name}",
            "",
            f"Gate: **{promotion.decision.reason}**. Registered as version {promotion.version}.",
            "",
            f"Data: {data_gate(layout)}.",
            "",
            f"Held-out correct@1: **{_gain(metrics)}**. Training started from {origin}.",
            "",
            *(_said_of_kernels(metrics, prefix) for prefix in _of_kernels(metrics)),
            "",
            "The benchmark report and the solved kernels are artifacts of the evaluate run.",
            "",
            "| stage | seconds | run that made its outputs |",
            "|---|---|---|",
            *rows,
            "",
            f"Code {manifests[Stage.EVALUATE].code_revision}.",
        )
    )


def _of_kernels(metrics: Mapping[str, float]) -> list[str]:
    """What the names of metrics of kernels begin with; nothing in a night of questions alone."""
    return [prefix for prefix in (_HELDOUT, f"{_HELDOUT}kernels/") if f"{prefix}unguarded" in metrics]


def _said_of_kernels(metrics: Mapping[str, float], prefix: str) -> str:
    unguarded = [_percent(metrics[f"{prefix}unguarded{suffix}"]) for suffix in ("_sft", "")]
    return (
        f"At aligned sizes, where bounds guards do not matter: {_aligned(metrics, prefix)}. Kernels without "
        f"a bounds guard went from {unguarded[0]} to {unguarded[1]}."
    )


def benchmark_markdown(metrics: Mapping[str, float]) -> str:
    """The benchmark as a Prefect artifact."""
    rows = [f"| {name.removeprefix(_HELDOUT)} | {value:.4g} |" for name, value in sorted(metrics.items())]
    return "\n".join((f"**{_gain(metrics)}**", "", "| held-out | value |", "|---|---|", *rows))


def _page(name: str, usual: str) -> str:
    return served_page(name) or f"make serve, then {usual}"


def served_page(name: str) -> str | None:
    """A web page of `make serve`, which says where it is while it is up; a server of the user's own."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "") if name == "mlflow_url" else ""
    if given.startswith("http"):
        return given
    try:
        return str(json.loads(SERVE_FILE.read_text(encoding="utf-8"))[name]).removesuffix("/api")
    except (OSError, ValueError, LookupError):
        return None


def _by_outcome(outcomes: Sequence[Outcome]) -> list[tuple[How, list[str]]]:
    grouped = [(how, [outcome.stage.value for outcome in outcomes if outcome.how is how]) for how in How]
    return [(how, stages) for how, stages in grouped if stages]


def _gain(metrics: Mapping[str, float]) -> str:
    return _change(metrics, _HELDOUT, "correct_rate", "gain")


def _aligned(metrics: Mapping[str, float], prefix: str) -> str:
    return _change(metrics, prefix, "correct_rate_aligned", "gain_aligned")


def _change(metrics: Mapping[str, float], prefix: str, rate: str, gain: str) -> str:
    before, after = metrics[f"{prefix}{rate}_sft"], metrics[prefix + rate]
    low, high = metrics[f"{prefix}{gain}_ci_low"], metrics[f"{prefix}{gain}_ci_high"]
    points = f"{100 * (after - before):+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{_percent(before)} before GRPO, {_percent(after)} after ({points})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
