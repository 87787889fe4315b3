"""Registered models of a profile: versions, the aliases `challenger` and `champion`, and kept copies.

Weights are not copied into MLflow. A version names the folder and its DVC hash; a promoted model is
also copied to `artifacts/<profile>/models/<night>/<hash>/`, where nothing writes again, so that later
nights can start from it whatever becomes of the pipeline's outputs.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import WarpsmithError
from evaluation.report.summary import Benchmark
from tasks.layout import Layout
from tasks.mlflow_client import MlflowTrouble
from tasks.night import Champion
from tasks.tracking import NIGHT, Tracking

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

#: Tags of a model version.
_MD5, _FOLDER = "warpsmith.md5", "warpsmith.folder"


def model_folder(tracking: Tracking, uri: str) -> Path:
    """The Hugging Face folder of a registered model: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        WarpsmithError: if there is no such model, or its folder is gone.
    """
    name, at, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = name.partition("/")
    try:
        version = (
            tracking.client.get_model_version_by_alias(name, alias)
            if at
            else tracking.client.get_model_version(name, number)
        )
    except MlflowTrouble as trouble:
        if trouble.passing:
            raise
        raise WarpsmithError(f"there is no registered model {uri}; MLflow's models page lists them") from None
    folder = tracking.layout.root / str(version.tags.get(_FOLDER, ""))
    if not (folder / "config.json").is_file():
        raise WarpsmithError(f"the folder {folder} of {uri} is missing; restore it, or name another version")
    return folder


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
        champion = Champion(night=version.tags[NIGHT], model=version.tags[_FOLDER], md5=version.tags[_MD5])
        if not (self.layout.root / champion.model).is_dir():
            raise WarpsmithError(
                f"the champion's folder {champion.model} is missing: restore it, "
                f"or delete the alias `champion` of {self.name} in MLflow"
            )
        return champion

    def champion_benchmark(self, champion: Champion) -> Benchmark:
        """The benchmark by which a champion was promoted."""
        report = (self.layout.root / champion.model).parent / "report.json"
        return Benchmark.model_validate_json(report.read_text(encoding="utf-8"))

    def register(self, night: str, model: Path, md5: str, benchmark: Benchmark) -> str:
        """The version of a night's model, registered unless it is already; it becomes the challenger."""
        found = self._find(night, md5)
        version = str(found.version) if found else self._create(night, model, md5, benchmark)
        self._client.set_registered_model_alias(self.name, "challenger", version)
        return version

    def promote(self, version: str, night: str, model: Path, report: Path, md5: str) -> None:
        """Keep a copy of a model with its report, and make its version the champion."""
        kept = self._keep(night, model, report, md5)
        self._client.set_model_version_tag(self.name, version, _FOLDER, self._relative(kept))
        self._client.set_registered_model_alias(self.name, "champion", version)

    def _find(self, night: str, md5: str) -> ModelVersion | None:
        query = f"name = '{self.name}' and tags.`{NIGHT}` = '{night}' and tags.`{_MD5}` = '{md5}'"
        found = self._client.search_model_versions(query)
        return found[0] if found else None

    def _create(self, night: str, model: Path, md5: str, benchmark: Benchmark) -> str:
        """A logged model with its metrics, so that nights can be compared, and a version of it."""
        import mlflow
        from mlflow.entities import Metric

        if not self._client.search_registered_models(f"name = '{self.name}'"):
            self._client.create_registered_model(self.name)
        run_id = self._tracking.night_run(night)
        tags = {NIGHT: night, _MD5: md5, _FOLDER: self._relative(model)}
        logged = self._client.ask(
            lambda: mlflow.create_external_model(
                name=f"{self.name}-{night}",
                source_run_id=run_id,
                experiment_id=self._tracking.experiment,
                tags=tags,
                model_type="causal-lm",
            )
        )
        now = int(time.time() * 1000)
        metrics = [Metric(k, v, now, 0, model_id=logged.model_id) for k, v in benchmark.metrics().items()]
        self._client.log_batch(run_id, metrics)
        version = self._client.create_model_version(
            self.name, f"models:/{logged.model_id}", run_id, tags=tags, model_id=logged.model_id
        )
        return str(version.version)

    def _keep(self, night: str, model: Path, report: Path, md5: str) -> Path:
        """Copy model and report to their lasting place, all or nothing; returns the model's folder."""
        folder = self.layout.models / night / md5[:12]
        if not folder.exists():
            unfinished = folder.with_name(f".{folder.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(model, unfinished / "hf")
            shutil.copy(report, unfinished / "report.json")
            unfinished.rename(folder)
        return folder / "hf"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.layout.root).as_posix()
