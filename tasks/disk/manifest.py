"""`manifest.json`: the record that ends a stage. What has none is not done."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pydantic import ValidationError

from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from tasks.disk.files import write_atomically


class Manifest(Frozen):
    """What a stage made and from what. Summary, gate and report read this, never logs."""

    stage: str
    profile: str
    inputs: dict[str, str]
    """md5 of everything the stage depends on in dvc.yaml, by path; DVC's own hashes."""
    config_hash: str
    """Of the settings and the night's parameters that the stage uses."""
    code_revision: str
    """Git commit, with `-dirty` if files differed from it; `unknown` outside a repository."""
    mlflow_run_id: str
    seconds: float
    metrics: dict[str, float]
    """Headline numbers under slash-grouped names."""

    def write(self, path: Path) -> None:
        """Write it, all or nothing."""
        write_atomically(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises:
            WarpsmithError: if the stage has not run, or the file is not a manifest.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise WarpsmithError(f"{path} is missing; `make nightly` runs the stage") from None
        except ValidationError:
            raise WarpsmithError(f"{path} is not a manifest; delete it and run `make nightly`") from None


def code_revision(root: Path) -> str:
    """The checkout's commit, with `-dirty` where tracked files differ from it."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return commit + ("-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str:
    """Output of a git command; empty if git or the repository is missing."""
    try:
        done = subprocess.run(("git", *arguments), cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
