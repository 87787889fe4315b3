"""Where a model comes from: `python -m tasks.lineage explain MODEL`, and `verify MODEL`.

When a night's model is registered, one record says all that it was made of: the checkpoint's step, the hashes
of data and code of every stage, revision and uncommitted changes, settings, container, batch job, and the
runs in Prefect and MLflow. It lies in `artifacts/<profile>/lineage/` and with the night's run in MLflow; the
model's version carries its hash. `verify` hashes again what can be reached, and says which parts cannot be.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from tasks.disk.files import write_atomically
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout, Stage
from tasks.disk.manifest import Manifest, code_revision
from tasks.models.promotion import Promotion
from tasks.night import Night
from tasks.registry import find_version, model_folder
from tasks.stages.dvc_stage import stores
from tasks.tracking.client import MlflowTrouble
from tasks.tracking.runs import Tracking

#: Tag of a model version: the SHA-256 of its record.
LINEAGE = "warpsmith.lineage"
_PACKAGES = ("torch", "megatron-core", "transformers", "numpy")


class Lineage(Frozen):
    """The record of one model version."""

    model: str
    """Such as `models:/warpsmith-cpu/3`."""
    night: str
    model_md5: str
    report_md5: str
    decision: str
    started_from: str | None
    """Hash of the champion that training started from; none is the base model."""
    checkpoint_step: int | None
    """GRPO's last step."""
    code: str
    """Git's revision."""
    changes: str
    """SHA-256 of what differed from it; empty if nothing did."""
    settings: dict[str, dict[str, Any]]
    stages: dict[Stage, Manifest]
    """With the hashes of everything that a stage has read."""
    container: str
    slurm_job: str
    prefect_run: str
    mlflow_run: str
    packages: dict[str, str]


def record(layout: Layout, night: Night, promotion: Promotion, prefect_run: str, mlflow_run: str) -> Lineage:
    """What the active night's model was made of."""
    manifests = {stage: Manifest.read(layout.manifest(stage)) for stage in Stage}
    steps = layout.stage(Stage.GRPO) / "metrics.jsonl"
    return Lineage(
        model=f"models:/warpsmith-{layout.profile}/{promotion.version}",
        night=night.name,
        model_md5=promotion.model_md5,
        report_md5=promotion.report_md5,
        decision=promotion.decision.reason,
        started_from=night.champion.md5 if night.champion else None,
        checkpoint_step=_last_step(steps),
        code=code_revision(layout.root),
        changes=uncommitted(layout.root),
        settings=night.result,
        stages=manifests,
        container=os.environ.get("WARPSMITH_IMAGE") or os.environ.get("APPTAINER_CONTAINER", ""),
        slurm_job=os.environ.get("SLURM_JOB_ID", ""),
        prefect_run=prefect_run,
        mlflow_run=mlflow_run,
        packages={name: installed(name) for name in _PACKAGES},
    )


def keep_lineage(layout: Layout, tracking: Tracking, found: Lineage) -> Path:
    """Write a record, and leave it in MLflow; one that is kept already stays as it is."""
    path = lineage_file(layout, found.model)
    if not path.exists():
        write_atomically(path, found.model_dump_json(indent=2) + "\n")
    tracking.log_path(found.mlflow_run, path)
    name, _, number = found.model.removeprefix("models:/").partition("/")
    tracking.client.set_model_version_tag(name, number, LINEAGE, _sha256(path))
    return path


def lineage_file(layout: Layout, model: str) -> Path:
    """Where the record of `models:/NAME/VERSION` is kept."""
    return layout.home / "lineage" / f"version-{model.rpartition('/')[2]}.json"


def uncommitted(root: Path) -> str:
    """SHA-256 of how tracked files differ from the last commit; empty if they do not."""
    try:
        done = subprocess.run(["git", "diff", "HEAD", "--binary"], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return hashlib.sha256(done.stdout).hexdigest() if done.stdout else ""


class Found(StrEnum):
    """What a check of one part of a record gave."""

    SAME = "same"  #: hashed again, and it is what it was
    DIFFERENT = "DIFFERENT"  #: something else is there
    GONE = "gone"  #: nothing that can be hashed is within reach


@dataclass(frozen=True)
class Checked:
    """One part of a record."""

    part: str
    found: Found
    remark: str = ""


def load(tracking: Tracking, model: str) -> tuple[Lineage, Path, Mapping[str, str]]:
    """A model's record, its file, and the tags of its version.

    Raises:
        WarpsmithError: if there is none.
    """
    import mlflow

    version = find_version(tracking, model)
    layout = Layout(tracking.layout.root, str(version.name).removeprefix("warpsmith-"))
    path = lineage_file(layout, f"models:/{version.name}/{version.version}")
    if not path.exists():
        uri = f"runs:/{version.run_id}/{path.name}"
        try:
            text = str(tracking.client.ask(lambda: mlflow.artifacts.load_text(uri)))
        except MlflowTrouble:
            raise WarpsmithError(f"{model} has no record of its lineage; it was registered before") from None
        write_atomically(path, text)
    return Lineage.model_validate_json(path.read_text(encoding="utf-8")), path, dict(version.tags)


def verify(tracking: Tracking, model: str) -> list[Checked]:
    """Hash again what a model was made of, as far as it can be reached."""
    found, path, tags = load(tracking, model)
    root = tracking.layout.root
    checked = [_same("record", tags.get(LINEAGE), _sha256(path))]
    try:
        weights = path_md5(model_folder(tracking, found.model))
        checked.append(_same("weights", found.model_md5, weights))
    except WarpsmithError as error:
        checked.append(Checked("weights", Found.GONE, str(error)))
    checked += _check_code(root, found)
    checked += _check_data(root, found)
    checked += _check_runs(tracking, found)
    return checked


def explain(found: Lineage) -> str:
    """A record for a person."""
    champion = f"the champion {found.started_from}" if found.started_from else "the base model, after SFT"
    lines = [
        f"{found.model}, trained in night {found.night}",
        f"  decision      {found.decision}",
        f"  weights       {found.model_md5}, step {found.checkpoint_step} of GRPO",
        f"  started from  {champion}",
        f"  code          {found.code}" + (f", changes {found.changes[:16]}" if found.changes else ""),
        f"  packages      {', '.join(f'{name} {number}' for name, number in found.packages.items())}",
        f"  container     {found.container or 'none'}",
        f"  Slurm job     {found.slurm_job or 'none'}",
        f"  Prefect run   {found.prefect_run or 'none'}",
        f"  MLflow run    {found.mlflow_run}",
        "  stages",
    ]
    for stage, manifest in found.stages.items():
        made = f"settings {manifest.config_hash}  run {manifest.mlflow_run_id}"
        lines.append(f"    {stage:<10}{manifest.seconds:>8.0f} s  {made}")
        lines += [
            f"      read {path} {md5}"
            for path, md5 in manifest.inputs.items()
            if path.startswith("artifacts/")
        ]
    return "\n".join(lines)


def _check_code(root: Path, found: Lineage) -> Iterator[Checked]:
    """The revision and the changes of the checkout, and the code that every stage has read."""
    now, then = code_revision(root).removesuffix("-dirty"), found.code.removesuffix("-dirty")
    if now != then:
        yield Checked("code", Found.GONE, f"this checkout is at {now}, the model's is {then}")
        return
    yield _same("code: changes", found.changes, uncommitted(root))
    paths = {
        p: md5
        for one in found.stages.values()
        for p, md5 in one.inputs.items()
        if not p.startswith("artifacts/")
    }
    wrong = [p for p, md5 in paths.items() if not (root / p).exists() or path_md5(root / p) != md5]
    remark = f"{len(paths)} files and folders" if not wrong else ", ".join(wrong[:5])
    yield Checked("code: what stages read", Found.DIFFERENT if wrong else Found.SAME, remark)


def _check_data(root: Path, found: Lineage) -> Iterator[Checked]:
    """The data that every stage has read: where it was, or in DVC's cache or remote."""
    paths = {
        p: md5 for one in found.stages.values() for p, md5 in one.inputs.items() if p.startswith("artifacts/")
    }
    places = stores(root)
    for path, md5 in paths.items():
        if (root / path).exists() and path_md5(root / path) == md5:
            yield Checked(path, Found.SAME)
            continue
        kept = [store for store in places if store.path(md5).is_file()]
        good = [store.name for store in kept if _object_md5(store.path(md5)) == md5.removesuffix(".dir")]
        if good:
            yield Checked(path, Found.SAME, f"in {good[0]}")
        else:
            yield Checked(
                path,
                Found.DIFFERENT if kept else Found.GONE,
                "in DVC's cache" if kept else "another night's now",
            )


def _check_runs(tracking: Tracking, found: Lineage) -> Iterator[Checked]:
    runs = {"night": found.mlflow_run} | {one.stage: one.mlflow_run_id for one in found.stages.values()}
    for name, run in runs.items():
        try:
            tracking.client.get_run(run)
            yield Checked(f"MLflow run of {name}", Found.SAME)
        except MlflowTrouble as trouble:
            yield Checked(f"MLflow run of {name}", Found.GONE, str(trouble)[:80])


def _same(part: str, wanted: str | None, found: str) -> Checked:
    if wanted == found:
        return Checked(part, Found.SAME)
    return Checked(part, Found.DIFFERENT, f"{found or 'none'} instead of {wanted or 'none'}")


def _object_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _last_step(metrics: Path) -> int | None:
    from training.launch.steplog import StepLog

    rows = StepLog(metrics).rows()
    return int(rows[-1]["step"]) if rows else None


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 1 where something differs, 2 where an error says what to do."""
    parser = argparse.ArgumentParser(prog="python -m tasks.lineage", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["explain", "verify"])
    parser.add_argument("model", help="models:/NAME@ALIAS or models:/NAME/VERSION")
    options = parser.parse_args(argv)
    name = options.model.removeprefix("models:/").partition("@")[0].partition("/")[0]
    tracking = Tracking(Layout(Path(), name.removeprefix("warpsmith-")))
    try:
        if options.action == "explain":
            print(explain(load(tracking, options.model)[0]))
            return 0
        checked = verify(tracking, options.model)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for one in checked:
        print(f"{one.found:<10} {one.part}" + (f": {one.remark}" if one.remark else ""))
    return int(any(one.found is Found.DIFFERENT for one in checked))


if __name__ == "__main__":
    sys.exit(main())
