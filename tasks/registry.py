"""Registered models of a profile: versions, and the aliases `challenger` and `champion`.

Weights are not copied into MLflow. A version names DVC's hash of its folder, by which `tasks.models.kept`
keeps and restores it; `python -m tasks.registry models:/warpsmith-cpu@champion` prints where it lies.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import WarpsmithError
from evaluation.report.comparison import Comparison, read_comparison
from tasks.disk.hashing import path_md5
from tasks.disk.layout import Layout
from tasks.models.gate import Decision
from tasks.models.kept import bring_model, keep_model, model_path
from tasks.night import Champion
from tasks.tracking.client import MlflowTrouble, PatientClient
from tasks.tracking.runs import NIGHT, Tracking

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

#: Tags of a model version; versions of before models were kept by their hash have a folder.
_MD5, _FOLDER = "warpsmith.md5", "warpsmith.folder"
#: What became of it: the gate's reason, whether a person is asked, which champion it followed, if it fell.
_REASON, _AWAITS = "warpsmith.decision", "warpsmith.awaits_approval"
_BEFORE, _FALLEN = "warpsmith.champion_before", "warpsmith.rolled_back"
#: Of the nights that a corridor is made of.
_MOST_NIGHTS = 20
#: How long a mere question waits for MLflow.
_PEEK_S = 5.0


def model_folder(tracking: Tracking, uri: str) -> Path:
    """The Hugging Face folder of a registered model: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        WarpsmithError: if there is no such model, or its weights cannot be had.
    """
    version = find_version(tracking, uri)
    if _MD5 not in version.tags:
        raise WarpsmithError(f"{uri} was not registered by a night of Warpsmith; name its folder instead")
    profile = str(version.name).removeprefix("warpsmith-")
    return _weights(Layout(tracking.layout.root, profile), version.tags)


def find_version(tracking: Tracking, uri: str) -> ModelVersion:
    """The version that `models:/NAME@ALIAS` or `models:/NAME/VERSION` names.

    Raises:
        WarpsmithError: if there is no such model.
    """
    name, at, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = name.partition("/")
    try:
        version: ModelVersion = (
            tracking.client.get_model_version_by_alias(name, alias)
            if at
            else tracking.client.get_model_version(name, number)
        )
    except MlflowTrouble as trouble:
        if trouble.passing:
            raise
        raise WarpsmithError(f"there is no registered model {uri}; MLflow's models page lists them") from None
    return version


def _weights(layout: Layout, tags: Mapping[str, str]) -> Path:
    """The folder of a version, with the bytes that were registered."""
    md5, folder = tags[_MD5], layout.root / tags.get(_FOLDER, "")
    earlier = _FOLDER in tags and folder.is_dir() and not model_path(layout, md5).exists()
    if earlier and path_md5(folder) == md5:
        return keep_model(layout, folder, md5)
    return bring_model(layout, md5)


def peek_champion(layout: Layout) -> tuple[str, Champion] | None:
    """The champion's version, and what a night would start from; brings no weights and writes nothing.

    Raises:
        MlflowTrouble: if MLflow is there and does not answer.
    """
    if not (os.environ.get("MLFLOW_TRACKING_URI") or (layout.root / "artifacts" / "mlflow.db").exists()):
        return None
    client, name = PatientClient(layout.root, _PEEK_S), f"warpsmith-{layout.profile}"
    models = client.search_registered_models(f"name = '{name}'")
    if not models or "champion" not in models[0].aliases:
        return None
    version = client.get_model_version_by_alias(name, "champion")
    md5 = version.tags[_MD5]
    folder = model_path(layout, md5).relative_to(layout.root).as_posix()
    return str(version.version), Champion(night=version.tags[NIGHT], model=folder, md5=md5)


class Registry:
    """The registered model `warpsmith-<profile>`."""

    def __init__(self, tracking: Tracking) -> None:
        self.layout: Layout = tracking.layout
        self.name = f"warpsmith-{tracking.layout.profile}"
        self._tracking, self._client = tracking, tracking.client

    def champion(self) -> Champion | None:
        """The model with the alias `champion`, wherever the alias was set.

        Raises:
            WarpsmithError: if its folder is gone.
        """
        models = self._client.search_registered_models(f"name = '{self.name}'")
        if not models or "champion" not in models[0].aliases:
            return None
        version = self._client.get_model_version_by_alias(self.name, "champion")
        folder = _weights(self.layout, version.tags)
        return Champion(night=version.tags[NIGHT], model=self._relative(folder), md5=version.tags[_MD5])

    def folders(self) -> set[Path]:
        """The folders of all versions that are registered."""
        tags = [one.tags for one in self._client.search_model_versions(f"name = '{self.name}'")]
        named = {self.layout.root / tag[_FOLDER] for tag in tags if _FOLDER in tag}
        return named | {model_path(self.layout, tag[_MD5]) for tag in tags if _MD5 in tag}

    def champion_benchmark(self) -> Comparison:
        """The benchmark by which the champion was promoted."""
        import mlflow

        version = self._client.get_model_version_by_alias(self.name, "champion")
        kept = self.layout.root / version.tags.get(_FOLDER, "") / ".." / "report.json"
        if _FOLDER in version.tags and kept.is_file():  # a version of before
            return read_comparison(kept.read_text(encoding="utf-8"))
        uri = f"models:/{self.name}/{version.version}/artifacts/report.json"
        report = self._client.ask(lambda: mlflow.artifacts.load_text(uri))
        return read_comparison(report)

    def register(self, night: str, model: Path, report: Path, md5: str) -> str:
        """The version of a night's model, registered and kept unless it is already; now the challenger."""
        keep_model(self.layout, model, md5)
        found = self._find(night, md5)
        version = str(found.version) if found else self._create(night, report, md5)
        self._client.set_registered_model_alias(self.name, "challenger", version)
        return version

    def promote(self, version: str) -> None:
        """Make a version the champion; it remembers which one it followed."""
        before = self._champion_version()
        if before != version:
            self._tag(version, _BEFORE, before)
        self._client.set_registered_model_alias(self.name, "champion", version)

    def set_decision(self, version: str, decision: Decision) -> None:
        """Leave what the gate said at the version, and whether a person is asked."""
        self._tag(version, _REASON, decision.reason)
        self._tag(version, _AWAITS, str(decision.awaits_approval))

    def approve(self, version: str) -> str:
        """Make a version champion that waits for a person; returns a sentence.

        Raises:
            WarpsmithError: if it does not wait.
        """
        tags = self._tags(version)
        if tags.get(_AWAITS) != "True":
            raise WarpsmithError(f"version {version} of {self.name} waits for nobody's approval")
        _weights(self.layout, tags)
        self.promote(version)
        self._tag(version, _AWAITS, "False")
        return f"version {version} of {self.name} is the champion; the next new night starts from it"

    def rollback(self, to: str | None = None) -> str:
        """Make the champion before this one, or a version of your choice, champion again; returns a sentence.

        Raises:
            WarpsmithError: if there is none, or its weights cannot be had.
        """
        now = self._champion_version()
        if not now:
            raise WarpsmithError(f"{self.name} has no champion to roll back")
        target = to or self._tags(now).get(_BEFORE, "")
        if target in ("", now):
            raise WarpsmithError(
                f"no champion is known before version {now} of {self.name}; name a version with `--to`"
            )
        _weights(self.layout, self._tags(target))
        self._client.set_registered_model_alias(self.name, "champion", target)
        self._tag(now, _FALLEN, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        return (
            f"version {target} of {self.name} is the champion again instead of version {now}; nights that "
            "are open keep theirs, the next new night starts from it"
        )

    def is_rolled_back(self, night: str, md5: str) -> bool:
        """Whether a person has taken this model's place as champion away."""
        found = self._find(night, md5)
        return found is not None and _FALLEN in found.tags

    def trusted_nights(self, night: str) -> list[dict[str, float]]:
        """The metrics of the newest trusted nights but this one."""
        nights: dict[str, dict[str, float]] = {}
        for run in self._tracking.trusted_runs():
            if run.data.tags[NIGHT] != night and len(nights) < _MOST_NIGHTS:
                nights.setdefault(run.data.tags[NIGHT], dict(run.data.metrics))
        return list(nights.values())

    def _champion_version(self) -> str:
        """The version with the alias `champion`; empty if none has it."""
        models = self._client.search_registered_models(f"name = '{self.name}'")
        return str(models[0].aliases.get("champion", "")) if models else ""

    def _tags(self, version: str) -> dict[str, str]:
        try:
            return dict(self._client.get_model_version(self.name, version).tags)
        except MlflowTrouble as trouble:
            if trouble.passing:
                raise
            raise WarpsmithError(
                f"{self.name} has no version {version}; MLflow's models page lists them"
            ) from None

    def _tag(self, version: str, key: str, value: str) -> None:
        self._client.set_model_version_tag(self.name, version, key, value[:5000])

    def _find(self, night: str, md5: str) -> ModelVersion | None:
        query = f"name = '{self.name}' and tags.`{NIGHT}` = '{night}' and tags.`{_MD5}` = '{md5}'"
        found = self._client.search_model_versions(query)
        return found[0] if found else None

    def _create(self, night: str, report: Path, md5: str) -> str:
        """A logged model with its metrics, so that nights can be compared, and a version of it."""
        from mlflow.entities import Metric

        if not self._client.search_registered_models(f"name = '{self.name}'"):
            self._client.create_registered_model(self.name)
        run_id = self._tracking.made_run(self._tracking.night_run(night))
        tags = {NIGHT: night, _MD5: md5}
        name = f"{self.name}-{night.replace('.', '-')}"  # MLflow allows no dots
        logged = self._client.create_logged_model(
            self._tracking.experiment, name, source_run_id=run_id, tags=tags, model_type="causal-lm"
        )
        with tempfile.TemporaryDirectory() as folder:
            self._save(Path(folder) / "model", report, md5)
            self._client.log_model_artifacts(logged.model_id, f"{folder}/model")
        self._client.finalize_logged_model(logged.model_id, "READY")
        found = read_comparison(report.read_text(encoding="utf-8")).metrics()
        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, 0, model_id=logged.model_id) for key, value in found.items()]
        self._client.log_batch(run_id, metrics)
        version = self._client.create_model_version(
            self.name, f"models:/{logged.model_id}", run_id, tags=tags, model_id=logged.model_id
        )
        return str(version.version)

    def _save(self, folder: Path, report: Path, md5: str) -> None:
        """What MLflow loads a version by: code, signature and example, but no weights."""
        import mlflow
        import pandas as pd
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

        warnings.filterwarnings("ignore", module="mlflow")  # about how it reads its own example
        source = folder.with_name("source.json")
        checkout = str(self.layout.root.resolve())
        source.write_text(json.dumps({"checkout": checkout, "profile": self.layout.profile, "md5": md5}))
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(Path(__file__).parent / "models/served_model.py"),
            artifacts={"source": str(source), "report": str(report)},
            signature=ModelSignature(
                Schema([ColSpec("string", "prompt")]),
                Schema([ColSpec("string")]),
                ParamSchema([ParamSpec("max_new_tokens", "long", 512)]),
            ),
            input_example=pd.DataFrame({"prompt": ["Write a CUDA kernel that adds two vectors."]}),
            pip_requirements=[f"mlflow=={mlflow.__version__}", "torch", "transformers"],
        )

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.layout.root).as_posix()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the folder of a registered model, or move the alias `champion`; returns the exit status.

    It is 2 where an error says what to do.
    """
    parser = argparse.ArgumentParser(prog="python -m tasks.registry", description=__doc__.splitlines()[0])
    parser.add_argument(
        "action",
        nargs="?",
        choices=["folder", "approve", "rollback"],
        default="folder",
        help="by default `folder`",
    )
    parser.add_argument("model", help="models:/NAME@ALIAS or models:/NAME/VERSION; models:/NAME to roll back")
    parser.add_argument("--to", help="the version to roll back to; by default the champion before this one")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0].startswith("models:/"):
        arguments.insert(0, "folder")
    options = parser.parse_args(arguments)
    name, _, version = options.model.removeprefix("models:/").partition("@")[0].partition("/")
    tracking = Tracking(Layout(Path(), name.removeprefix("warpsmith-")))
    try:
        if options.action == "folder":
            print(model_folder(tracking, options.model))
        elif options.action == "approve":
            print(Registry(tracking).approve(version))
        else:
            print(Registry(tracking).rollback(options.to))
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
