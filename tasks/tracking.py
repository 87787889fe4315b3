"""The one module that talks to MLflow's tracking: night runs, stage runs, metrics, data, artifacts.

A night is one parent run, found again by its tags, so that every driver (the flow, `dvc repro`, a
single stage) writes to the same one. MLflow is imported late: it takes seconds.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import WarpsmithError
from tasks.layout import Layout, Stage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

#: Tags by which a night's and a stage's run are found again.
NIGHT, STAGE, FINGERPRINT = "warpsmith.night", "warpsmith.stage", "warpsmith.fingerprint"
#: Tags that say what a run was made from, and why it failed.
CONFIG_HASH, CODE_REVISION, ERROR = "warpsmith.config_hash", "warpsmith.code_revision", "warpsmith.error"
_PARENT, _NOTE = "mlflow.parentRunId", "mlflow.note.content"
#: Most parameters that MLflow takes in one request.
_PARAMS = 100
#: Quiet, private, and not patient for minutes with a server that does not answer.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what it logs as an error it also raises
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or a SQLite file in the checkout (on a local disk: SQLite fails on NFS)."""
    database = (root / "artifacts" / "mlflow.db").resolve()
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{database}"


def preload() -> None:
    """Import MLflow now, while the caller waits for something else anyway."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401


def make_database(root: Path) -> None:
    """Make the default SQLite database unless it is there, or `MLFLOW_TRACKING_URI` names another.

    MLflow makes its tables one by one, and cannot use a database in which a kill or a full disk cut it
    short. So it is made under another name, and gets its own when it is complete.
    """
    database = root / "artifacts" / "mlflow.db"
    if os.environ.get("MLFLOW_TRACKING_URI") or database.exists():
        return
    preload()
    from mlflow import MlflowClient

    database.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent, prefix=".mlflow-") as folder:
        unfinished = Path(folder).resolve() / "mlflow.db"
        MlflowClient(f"sqlite:///{unfinished}").search_experiments(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            os.link(unfinished, database)


class Tracking:
    """MLflow for one profile: experiment `warpsmith/<profile>`.

    Raises:
        WarpsmithError: if the tracking server or database cannot be used.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.uri = tracking_uri(layout.root)
        self.client, self.experiment = _connect(layout, self.uri)

    def night_run(self, night: str) -> str:
        """Id of the night's parent run; made if there is none."""
        found = self._search({NIGHT: night, STAGE: "night"})
        if found:
            return str(found[0].info.run_id)
        return self._create(f"night {night}", {NIGHT: night, STAGE: "night"})

    def stage_run(self, night: str, stage: Stage, fingerprint: str) -> str:
        """Id of the run that this attempt at a stage writes to.

        An attempt that was killed left its run RUNNING: the same inputs continue it, others close it.
        The caller holds the stage's lock, so no such run can be alive.
        """
        identity = {NIGHT: night, STAGE: stage.value}
        for run in self._search(identity):
            if run.info.status == "RUNNING" and run.data.tags.get(FINGERPRINT) == fingerprint:
                return str(run.info.run_id)
            if run.info.status == "RUNNING":
                self.finish(run.info.run_id, "KILLED")
        return self._create(
            f"{stage} {night}", {**identity, FINGERPRINT: fingerprint, _PARENT: self.night_run(night)}
        )

    def benchmark_run(self, model: str) -> str:
        """Id of a new run for a benchmark outside any night."""
        return self._create(f"benchmark {model}", {STAGE: "benchmark"})

    def finish(self, run_id: str, status: str = "FINISHED", error: str | None = None) -> None:
        """End a run; `error` says why it ended early."""
        if error is not None:
            self.client.set_tag(run_id, ERROR, error[:5000])
        self.client.set_terminated(run_id, status)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Headline metrics of a stage or a night."""
        self.log_steps(run_id, [{"step": 0, **metrics}])

    def log_steps(self, run_id: str, rows: Iterable[Mapping[str, float]]) -> None:
        """Metrics of training steps: one mapping per step, with the key `step`, in one request a thousand."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, int(row["step"]))
            for row in rows
            for name, value in row.items()
            if name != "step"
        ]
        for first in range(0, len(metrics), 1000):
            self.client.log_batch(run_id, metrics[first : first + 1000])

    def log_params(self, run_id: str, settings: Mapping[str, Any]) -> None:
        """Settings by which MLflow's UI compares runs; a run's cannot be changed any more."""
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in settings.items()]
        for first in range(0, len(params), _PARAMS):
            self.client.log_batch(run_id, params=params[first : first + _PARAMS])

    def last_step(self, run_id: str, metric: str) -> int:
        """The highest step that a run has of a metric; -1 if it has none."""
        if metric not in self.client.get_run(run_id).data.metrics:
            return -1
        return max(entry.step for entry in self.client.get_metric_history(run_id, metric))

    def log_datasets(self, run_id: str, hashes: Mapping[str, str]) -> None:
        """The data that a run used, under the md5 by which DVC finds it again."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        tags = [InputTag("mlflow.data.context", "input")]
        inputs = [
            DatasetInput(Dataset(Path(path).name, md5, "local", json.dumps({"uri": path})), tags)
            for path, md5 in hashes.items()
        ]
        self.client.log_inputs(run_id, datasets=inputs)

    def log_json(self, run_id: str, name: str, content: Any) -> None:
        """A JSON artifact."""
        self.client.log_dict(run_id, content, name)

    def log_table(self, run_id: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows with the same keys as a table that MLflow's UI shows and compares between runs."""
        if rows:
            columns = {key: [row[key] for row in rows] for key in rows[0]}
            self.client.log_table(run_id, columns, name)

    def log_path(self, run_id: str, path: Path) -> None:
        """A file or folder as an artifact of the same name."""
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), path.name)
        elif path.exists():
            self.client.log_artifact(run_id, str(path))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.client.set_tag(run_id, key, value)

    def set_note(self, run_id: str, markdown: str) -> None:
        """The text that MLflow shows at the top of a run."""
        self.client.set_tag(run_id, _NOTE, markdown)

    def _search(self, tags: Mapping[str, str]) -> list[Run]:
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        newest_first = ["attributes.start_time DESC"]
        return list(self.client.search_runs([self.experiment], query, order_by=newest_first))

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        return str(self.client.create_run(self.experiment, tags=dict(tags), run_name=name).info.run_id)


def _connect(layout: Layout, uri: str) -> tuple[MlflowClient, str]:
    """The client and the id of the profile's experiment."""
    preload()
    make_database(layout.root)
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(uri)  # parts of MLflow make a client of their own
    name = f"warpsmith/{layout.profile}"
    try:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return client, str(experiment.experiment_id)
        location = _artifact_location(layout.root, uri)
        return client, str(client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        reason = " ".join(str(error).split())[:200]
        raise WarpsmithError(f"MLflow at {uri} cannot be used: {reason}; see MLFLOW_TRACKING_URI") from error


def _artifact_location(root: Path, uri: str) -> str | None:
    """Beside the database; a server decides for itself."""
    return (root / "artifacts" / "mlartifacts").resolve().as_uri() if uri.startswith("sqlite:") else None
