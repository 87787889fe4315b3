"""The one module that talks to MLflow's tracking: night runs, stage runs, metrics, data, artifacts.

A night is one parent run, found again by its tags, so that every driver (the flow, `dvc repro`, a
single stage) writes to the same one. Nothing that is logged can end the work that it is about: what MLflow
does not take waits in a folder (`tasks.tracking.spool`) and is made up at the next chance, in any process.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import WarpsmithError
from tasks.disk.layout import Layout, Stage
from tasks.tracking.client import MlflowTrouble, PatientClient, artifact_location
from tasks.tracking.spool import Call, Spool

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

#: Tags by which a night's and a stage's run are found again.
NIGHT, STAGE, FINGERPRINT = "warpsmith.night", "warpsmith.stage", "warpsmith.fingerprint"
#: Tags that say what a run was made from, and why it failed.
CONFIG_HASH, CODE_REVISION, ERROR = "warpsmith.config_hash", "warpsmith.code_revision", "warpsmith.error"
#: Tag of nights that later ones are measured by.
TRUSTED = "warpsmith.trusted"
_PARENT, _NOTE, _TABLES = "mlflow.parentRunId", "mlflow.note.content", "mlflow.loggedArtifacts"
#: Tag of a run that could not be made when its first entry was logged: the name that it had until then.
_WAITED, _WAITING = "warpsmith.waited_as", "waiting-"
#: Most parameters and metrics that MLflow takes in one request.
_PARAMS, _METRICS = 100, 1000
#: How long logging itself waits for MLflow, and when it looks again whether it is back.
_LOGGING_S, _AGAIN_S = 8.0, 20.0


class Tracking:
    """MLflow for one profile: experiment `warpsmith/<profile>`.

    Whatever logs waits if it must, and raises nothing; what asks (`client`, `experiment`) raises
    `MlflowTrouble`, one sentence.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.client = PatientClient(layout.root)
        self._logging = PatientClient(layout.root, _LOGGING_S)
        self._spool = Spool(layout.home / "mlflow-waiting")
        self._experiment: str | None = None
        self._made: dict[str, str] = {}
        self._not_before = 0.0
        self.make_up()

    @property
    def experiment(self) -> str:
        """Id of the profile's experiment; one that somebody deleted is restored."""
        return self._open_experiment(self.client)

    @property
    def page(self) -> str:
        """Where MLflow's pages list the profile's runs: the first page of an experiment has none."""
        try:
            return f"/#/experiments/{self.experiment}/runs?workflowType=machine_learning"
        except MlflowTrouble:
            return ""

    def begin_night(self, night: str, settings: Mapping[str, Any]) -> None:
        """Have a parent run for this launch of a night, and close what earlier ones left open.

        A launch with other settings gets a run of its own: MLflow changes no parameters. The caller holds the
        night's lock, so nothing that says it is running can be alive.
        """
        params = {name: str(value) for name, value in settings.items()}
        identity, same = {NIGHT: night, STAGE: "night"}, None
        for run in self._search_or_none({}):
            if run.info.status == "RUNNING" and NIGHT in run.data.tags:
                self.finish(run.info.run_id, "KILLED")
            if same is None and identity.items() <= run.data.tags.items():
                same = run.info.run_id if run.data.params in ({}, params) else ""
        run_id = same or (self.night_run(night) if same is None else self._create(f"night {night}", identity))
        self._log("begin", run_id)
        self.log_params(run_id, params)

    def end_night(self, night: str, status: str, error: str) -> None:
        """Close a night that ended early, and those of its stages that still run."""
        for run in self._search_or_none({NIGHT: night}):
            if run.info.status == "RUNNING" and run.data.tags[STAGE] != "night":
                self.finish(run.info.run_id, "KILLED")
        self.finish(self.night_run(night), status, error)

    def night_run(self, night: str) -> str:
        """Id of the night's newest parent run; made if there is none."""
        return self._find_run({NIGHT: night, STAGE: "night"}) or self._create(
            f"night {night}", {NIGHT: night, STAGE: "night"}
        )

    def trusted_runs(self) -> list[Run]:
        """The parent runs of trusted nights, the newest first."""
        return self._search_or_none({STAGE: "night", TRUSTED: "True"})

    def recorded_night(self, night: str, files: Sequence[str]) -> dict[str, str] | None:
        """Texts that a night's run has as artifacts, and its code revision; none if MLflow has no such night.

        Raises:
            MlflowTrouble: if it lacks one of them.
        """
        import mlflow

        found = self._search({NIGHT: night, STAGE: "night"})
        if not found:
            return None
        uri = f"runs:/{found[0].info.run_id}"

        def read() -> dict[str, str]:
            return {name: str(mlflow.artifacts.load_text(f"{uri}/{name}")) for name in files}

        return {**self.client.ask(read), CODE_REVISION: str(found[0].data.tags.get(CODE_REVISION, ""))}

    def stage_run(self, night: str, stage: Stage, fingerprint: str) -> str:
        """Id of the run that this attempt at a stage writes to.

        The same inputs continue the run of an attempt that was killed; others close it. The caller holds the
        stage's lock, so no such run can be alive.
        """
        identity = {NIGHT: night, STAGE: stage.value}
        for run in self._search_or_none(identity):
            killed = run.info.status in ("RUNNING", "KILLED")
            if killed and run.data.tags.get(FINGERPRINT) == fingerprint:
                self._log("begin", run.info.run_id)
                return str(run.info.run_id)
            if run.info.status == "RUNNING":
                self.finish(run.info.run_id, "KILLED")
        return self._create(
            f"{stage} {night}", {**identity, FINGERPRINT: fingerprint, _PARENT: self.night_run(night)}
        )

    def made_run(self, run_id: str) -> str:
        """MLflow's id of a run that may have had to wait.

        Raises:
            MlflowTrouble: if it waits still.
        """
        if (found := self._real(run_id, self.client)).startswith(_WAITING):
            raise MlflowTrouble(f"MLflow at {self.client.uri} has not caught up yet; run again", passing=True)
        return found

    def benchmark_run(self, model: str) -> str:
        """Id of a new run for a benchmark outside any night."""
        return self._create(f"benchmark {model}", {STAGE: "benchmark"})

    def finish(self, run_id: str, status: str = "FINISHED", error: str | None = None) -> None:
        """End a run; `error` says why it ended early."""
        self._log("finish", run_id, status=status, error=error and error[:5000], time=_now())

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Headline metrics of a stage or a night."""
        self._log("metrics", run_id, rows=[{"step": 0, **metrics}], time=_now(), again=True)

    def log_steps(self, run_id: str, rows: Iterable[Mapping[str, float]]) -> None:
        """Metrics of training steps: one mapping per step, with the key `step`, in one request a thousand.

        Steps that the run already has are left out, so that a resumed stage adds no second point.
        """
        self._log("metrics", run_id, rows=list(rows), time=_now(), again=False)

    def log_params(self, run_id: str, settings: Mapping[str, Any]) -> None:
        """Settings by which MLflow's UI compares runs; a run's cannot be changed any more."""
        self._log("params", run_id, params={name: str(value) for name, value in settings.items()})

    def log_datasets(self, run_id: str, hashes: Mapping[str, str]) -> None:
        """The data that a run used, under the md5 by which DVC finds it again."""
        self._log("datasets", run_id, hashes=dict(hashes))

    def log_json(self, run_id: str, name: str, content: Any) -> None:
        """A JSON artifact."""
        self._log("json", run_id, name=name, content=content)

    def log_table(self, run_id: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows with the same keys as a table that MLflow's UI shows and compares between runs."""
        if rows:
            self._log("table", run_id, name=name, rows=[dict(row) for row in rows])

    def log_path(self, run_id: str, path: Path) -> None:
        """A file or folder as an artifact of the same name."""
        if path.exists():
            self._log("path", run_id, attachment=path, path=str(path))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set several tags."""
        self._log("tags", run_id, tags=dict(tags))

    def set_note(self, run_id: str, markdown: str) -> None:
        """The text that MLflow shows at the top of a run."""
        self.set_tags(run_id, {_NOTE: markdown})

    def make_up(self) -> int:
        """Log what waits, if MLflow is back; returns how many entries go on waiting."""
        if len(self._spool) and time.monotonic() >= self._not_before:
            before = len(self._spool)
            try:
                self._spool.make_up(self._perform_if_possible)
            except WarpsmithError:
                self._not_before = time.monotonic() + _AGAIN_S
            if made := before - len(self._spool):
                print(f"MLflow has {made} entries more that had to wait", flush=True)
        return len(self._spool)

    def _log(self, action: str, run: str, *, attachment: Path | None = None, **arguments: Any) -> None:
        """Do it now, or once MLflow is back: entries stay in their order."""
        call = Call(action=action, run=run, arguments=arguments)
        if not self.make_up() and time.monotonic() >= self._not_before:
            try:
                self._perform_if_possible(call)
                return
            except MlflowTrouble as trouble:
                self._wait(trouble)
        try:
            self._spool.add(call, attachment)
        except OSError as error:
            print(f"{action} for MLflow is lost: {error}", flush=True)

    def _wait(self, trouble: MlflowTrouble) -> None:
        self._not_before = time.monotonic() + _AGAIN_S
        print(f"{trouble}; what is logged waits in {self._spool.folder}", flush=True)

    def _perform_if_possible(self, call: Call) -> None:
        """Carry out a call; one that can never be is given up in one sentence.

        Raises:
            MlflowTrouble: if it may work later.
        """
        for attempt in ("as it is", "restored"):
            try:
                getattr(self, f"_do_{call.action}")(self._real(call.run), **call.arguments)
                return
            except MlflowTrouble as trouble:
                if trouble.passing:
                    raise
                if attempt == "restored" or not self._restore(call.run):
                    print(f"{call.action} of run {call.run} is not in MLflow: {trouble}", flush=True)
                    return

    def _restore(self, run: str) -> bool:
        """Bring back a run, or the experiment, that somebody deleted meanwhile; whether there was one."""
        self._experiment = None
        experiment = self._open_experiment(self._logging)
        try:
            found = self._logging.get_run(self._real(run))
        except MlflowTrouble:
            return False
        if found.info.lifecycle_stage == "deleted":
            self._logging.restore_run(found.info.run_id)
        return bool(found.info.experiment_id == experiment)

    def _open_experiment(self, client: PatientClient) -> str:
        if self._experiment is None:
            name = f"warpsmith/{self.layout.profile}"
            found = client.get_experiment_by_name(name)
            if found is None:
                location = artifact_location(self.layout.root, client.uri)
                self._experiment = str(client.create_experiment(name, artifact_location=location))
                return self._experiment
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
                print(f"the experiment {name} had been deleted in MLflow; it is restored", flush=True)
            self._experiment = str(found.experiment_id)
        return self._experiment

    def _search(self, tags: Mapping[str, str], client: PatientClient | None = None) -> list[Run]:
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        client, newest_first = client or self.client, ["attributes.start_time DESC"]
        return list(client.search_runs([self._open_experiment(client)], query, order_by=newest_first))

    def _search_or_none(self, tags: Mapping[str, str]) -> list[Run]:
        """As `_search`, for what logs; a MLflow that is away has no runs."""
        if self.make_up():
            return []
        try:
            return self._search(tags, self._logging)
        except MlflowTrouble as trouble:
            self._wait(trouble)
            return []

    def _find_run(self, tags: Mapping[str, str]) -> str | None:
        """The newest run with these tags, be it one that waits to be made."""
        if found := self._search_or_none(tags):
            return str(found[0].info.run_id)
        waiting = (call for call in self._spool if call.action == "create")
        return next((call.run for call in waiting if tags.items() <= call.arguments["tags"].items()), None)

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        waiting = f"{_WAITING}{uuid.uuid4().hex}"
        self._log("create", waiting, name=name, tags={**tags, _WAITED: waiting}, time=_now())
        return self._made.get(waiting, waiting)

    def _real(self, run: str, client: PatientClient | None = None) -> str:
        """MLflow's id of a run that may have had to wait."""
        if not run.startswith(_WAITING):
            return run
        if run not in self._made:
            for found in self._search({_WAITED: run}, client or self._logging):
                self._made[run] = str(found.info.run_id)
        return self._made.get(run, run)

    def _do_create(self, run: str, name: str, tags: dict[str, str], time: int) -> None:
        if not run.startswith(_WAITING):
            return  # an attempt that was killed has made it
        tags = {key: value if key == _WAITED else self._real(value) for key, value in tags.items()}
        experiment = self._open_experiment(self._logging)
        made = self._logging.create_run(experiment, start_time=time, tags=tags, run_name=name)
        self._made[run] = str(made.info.run_id)

    def _do_begin(self, run: str) -> None:
        self._logging.update_run(run, status="RUNNING")

    def _do_finish(self, run: str, status: str, error: str | None, time: int) -> None:
        if error is not None:
            self._logging.set_tag(run, ERROR, error)
        elif ERROR in self._logging.get_run(run).data.tags:
            self._logging.delete_tag(run, ERROR)
        self._logging.set_terminated(run, status, time)

    def _do_metrics(self, run: str, rows: list[dict[str, float]], time: int, again: bool) -> None:
        from mlflow.entities import Metric

        mark = _mark(rows)
        last = -1 if again else self._last_step(run, mark)
        batch: list[Metric] = []
        for row in (row for row in rows if row["step"] > last):
            names = sorted(row.keys() - {"step"}, key=lambda name: (name == mark, name))
            metrics = [Metric(name, float(row[name]), time, int(row["step"])) for name in names]
            if len(batch) + len(metrics) > _METRICS:  # a step's come together, or a kill could part them
                self._log_metrics(run, batch)
                batch = []
            batch += metrics
        self._log_metrics(run, batch)

    def _log_metrics(self, run: str, metrics: Sequence[Metric]) -> None:
        for first in range(0, len(metrics), _METRICS):
            self._logging.log_batch(run, metrics[first : first + _METRICS])

    def _last_step(self, run: str, mark: str) -> int:
        """The highest step that a run has all metrics of; -1 if there is none."""
        if mark not in self._logging.get_run(run).data.metrics:
            return -1
        return max(int(entry.step) for entry in self._logging.get_metric_history(run, mark))

    def _do_params(self, run: str, params: dict[str, str]) -> None:
        from mlflow.entities import Param

        entries = [Param(name, value) for name, value in params.items()]
        for first in range(0, len(entries), _PARAMS):
            self._logging.log_batch(run, params=entries[first : first + _PARAMS])

    def _do_datasets(self, run: str, hashes: dict[str, str]) -> None:
        from mlflow.data import meta_dataset, sources
        from mlflow.entities import Dataset, DatasetInput, InputTag

        kinds: Any = sources  # which MLflow fills when it is imported
        of: Any = meta_dataset.MetaDataset

        def described(path: str, md5: str) -> Dataset:
            named = of(kinds.LocalArtifactDatasetSource(path), name=Path(path).name, digest=md5)
            return Dataset(**named.to_dict())

        tags = [InputTag("mlflow.data.context", "input")]
        inputs = [DatasetInput(described(path, md5), tags) for path, md5 in hashes.items()]
        self._logging.log_inputs(run, datasets=inputs)

    def _do_json(self, run: str, name: str, content: Any) -> None:
        self._logging.log_dict(run, content, name)

    def _do_table(self, run: str, name: str, rows: list[dict[str, Any]]) -> None:
        """As `MlflowClient.log_table`, which would add the rows to those that are there."""
        table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        self._logging.log_dict(run, table, name)
        self._logging.set_tag(run, _TABLES, json.dumps([{"path": name, "type": "table"}]))

    def _do_path(self, run: str, path: str) -> None:
        if Path(path).is_dir():
            self._logging.log_artifacts(run, path, Path(path).name)
        else:
            self._logging.log_artifact(run, path)

    def _do_tags(self, run: str, tags: dict[str, str]) -> None:
        for key, value in tags.items():
            self._logging.set_tag(run, key, value)


def _mark(rows: Sequence[Mapping[str, float]]) -> str:
    """The metric that is logged last of a step: a step that has it is complete, whenever a kill comes."""
    every = set.intersection(*(set(row) for row in rows)) if rows else set()
    some = {name for row in rows for name in row}
    return min((every or some) - {"step"}, default="")


def _now() -> int:
    return int(time.time() * 1000)
