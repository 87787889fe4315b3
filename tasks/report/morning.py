"""Writes a night's pages, `artifacts/<profile>/reports/<night>/`, from what its stages have left.

They are read once more the next morning: beside them lies the night's report.json, by which nights compare.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from evaluation.problem import Problem, Split
from evaluation.report.run import read_samples
from evaluation.report.summary import Benchmark
from evaluation.rows import read_lines, read_rows
from tasks.disk.files import write_atomically
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest
from tasks.models.promotion import Promotion
from tasks.night import Night
from tasks.profile import Profile
from tasks.report.ledger import cost_rows, entries
from tasks.report.morning_page import Earlier, Morning, morning_page
from tasks.report.summary import served_page
from tasks.report.trajectories import trajectories_page
from training.checkpoint.folders import METRICS, SAMPLES
from training.launch.steplog import StepLog

PAGE, TRAJECTORIES, _REPORT = "index.html", "trajectories.html", "report.json"


def write_pages(layout: Layout, profile: Profile, night: Night, promotion: Promotion, runs: str) -> Path:
    """Write both pages; returns that of the night.

    Args:
        layout: the profile's folders.
        profile: the night's settings.
        night: whose stages have all run.
        promotion: what the gate decided.
        runs: where MLflow's pages have runs, below the address of its server.
    """
    folder = layout.report(night.name)
    evaluated = layout.stage(Stage.EVALUATE)
    samples = read_samples(evaluated)
    wanted = {sample.problem_id for sample in samples}
    problems = [
        problem
        for problem in read_rows(Problem, layout.stage(Stage.PREPARE) / "problems.jsonl")
        if problem.split is Split.HELDOUT and problem.id in wanted
    ]
    manifests = {stage: Manifest.read(layout.manifest(stage)) for stage in Stage}
    morning = Morning(
        night=night.name,
        profile=layout.profile,
        decision=promotion.decision,
        decision_rows=promotion.rows(),
        benchmark=Benchmark.model_validate_json((evaluated / _REPORT).read_text(encoding="utf-8")),
        problems=problems,
        samples=samples,
        curves={s.value: StepLog(layout.stage(s) / METRICS).rows() for s in (Stage.SFT, Stage.GRPO)},
        before=_last_night(layout, night.name),
        links=[("rollouts", TRAJECTORIES), *_links(manifests, runs)],
        facts=_facts(night, promotion, manifests),
        costs=cost_rows(entries(layout), night.name, len(promotion.decision.solved)),
    )
    write_atomically(folder / PAGE, morning_page(morning))
    rollouts = StepLog(layout.stage(Stage.GRPO) / SAMPLES).rows()
    page = trajectories_page(night.name, rollouts, training_prompts(layout), profile.grpo.advantage)
    write_atomically(folder / TRAJECTORIES, page)
    shutil.copy(evaluated / _REPORT, folder / _REPORT)
    return folder / PAGE


def _last_night(layout: Layout, night: str) -> Earlier | None:
    """The night whose report was written last before this one's."""
    others = [path for path in layout.report(night).parent.glob(f"*/{_REPORT}") if path.parent.name != night]
    own = layout.report(night) / _REPORT
    if own.exists():  # written again: what came after it is not before it
        others = [path for path in others if path.stat().st_mtime < own.stat().st_mtime]
    if not others:
        return None
    path = max(others, key=lambda one: one.stat().st_mtime)
    return Earlier(path.parent.name, Benchmark.model_validate_json(path.read_text(encoding="utf-8")))


def _links(manifests: Mapping[Stage, Manifest], runs: str) -> list[tuple[str, str]]:
    """MLflow's page of every stage's run."""
    if not runs:
        return []
    server = served_page("mlflow_url") or "http://127.0.0.1:5000"
    page = f"{server}{runs.partition('?')[0]}"
    return [
        ("MLflow: all runs", f"{server}{runs}"),
        *((stage.value, f"{page}/{manifest.mlflow_run_id}") for stage, manifest in manifests.items()),
    ]


def _facts(night: Night, promotion: Promotion, manifests: Mapping[Stage, Manifest]) -> dict[str, str]:
    champion = night.champion
    facts = {
        "started from": f"the champion of {champion.night}, {champion.md5}" if champion else "the base model",
        "model": f"version {promotion.version}, {promotion.model_md5}",
        "code": manifests[Stage.EVALUATE].code_revision,
        "flags": json.dumps(night.overrides) if night.overrides else "none",
    }
    for stage, manifest in manifests.items():
        facts[f"stage {stage}"] = f"{manifest.seconds:.0f} s, settings {manifest.config_hash}"
    data = manifests[Stage.GRPO].inputs
    return facts | {f"data {Path(path).name}": md5 for path, md5 in data.items() if "/prepare/" in path}


def training_prompts(layout: Layout) -> dict[str, str]:
    """What each training problem's prompt says, by problem id."""
    found = {}
    for _, line in read_lines(layout.stage(Stage.PREPARE) / "prompts" / "train.jsonl"):
        row = json.loads(line)
        prompt = row["prompt"]
        text = prompt if isinstance(prompt, str) else "\n\n".join(str(one["content"]) for one in prompt)
        found[str(row["metadata"].get("problem_id", row.get("label")))] = text
    return found
