"""The way to MLflow: its database, and a client that waits for it and gives its trouble one sentence.

A database is locked for a while, a server restarts, a disk is full: all of it passes. MLflow is imported
late: it takes seconds.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evaluation.errors import WarpsmithError

if TYPE_CHECKING:
    from mlflow import MlflowClient

Answer = TypeVar("Answer")

#: Quiet, private, and not patient for minutes with a server that does not answer: that is ours to be.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what it logs as an error it also raises
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
#: What MLflow answers to a question that is wrong, and stays wrong.
_FINAL = (
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
)
#: For how long a question that needs its answer is asked again.
PATIENCE_S = 60.0


class MlflowTrouble(WarpsmithError):
    """MLflow did not do what it was asked to."""

    def __init__(self, sentence: str, *, passing: bool) -> None:
        super().__init__(sentence)
        self.passing = passing
        """Whether the same may work later: the database is locked, the server is away."""


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or a SQLite file in the checkout (on a local disk: SQLite fails on NFS)."""
    database = (root / "artifacts" / "mlflow.db").resolve()
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{database}"


def artifact_location(root: Path, uri: str) -> str | None:
    """Where an experiment in a database keeps its files; a server decides for itself."""
    if uri.startswith(("http:", "https:", "databricks")):
        return None
    return (root / "artifacts" / "mlartifacts").resolve().as_uri()


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


class PatientClient:
    """MLflow's client, whose methods are asked again while MLflow is in passing trouble.

    Every method of `MlflowClient` is one of this; it raises `MlflowTrouble` and nothing else of MLflow's.
    """

    def __init__(self, root: Path, patience_s: float | None = None) -> None:
        self.root, self.uri = root, tracking_uri(root)
        self.patience_s = PATIENCE_S if patience_s is None else patience_s

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            return self.ask(lambda: getattr(self._client, method)(*arguments, **named))

        return call

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer of `question`, which may use any part of MLflow.

        Raises:
            MlflowTrouble: if there is none, after `patience_s` where waiting may help.
        """
        deadline, pause_s = time.monotonic() + self.patience_s, 0.5
        while True:
            try:
                return question()
            except Exception as error:  # MLflow lets those of its database and HTTP libraries through
                trouble = _trouble(self.uri, error)
                if not trouble.passing or time.monotonic() + pause_s > deadline:
                    raise trouble from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)

    @cached_property
    def _client(self) -> MlflowClient:
        preload()
        make_database(self.root)
        import mlflow
        from mlflow import MlflowClient

        mlflow.set_tracking_uri(self.uri)  # parts of MLflow make a client of their own
        return MlflowClient(self.uri)


def _trouble(uri: str, error: Exception) -> MlflowTrouble:
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowTrouble):
        return error
    reason = " ".join(str(error).split())[:200]
    if isinstance(error, ModuleNotFoundError):
        package = "psycopg2-binary" if error.name == "psycopg2" else error.name
        reason += f"; `.venv/bin/pip install {package}` installs it"
    final = isinstance(error, (TypeError, ValueError, AttributeError, LookupError)) or (
        isinstance(error, MlflowException) and error.error_code in _FINAL
    )
    return MlflowTrouble(
        f"MLflow at {uri} cannot be used: {reason}; see MLFLOW_TRACKING_URI", passing=not final
    )
