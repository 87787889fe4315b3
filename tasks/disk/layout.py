"""Where everything of a profile lies: the one place that knows the folders under `artifacts/`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Stage(StrEnum):
    """The stages of `dvc.yaml`, in the order in which a night runs them."""

    PREPARE = "prepare"  #: draw, judge and split problems; write kernels to learn from
    VALIDATE = "validate"  #: the data gate
    BASE = "base"  #: the starting checkpoint: random, given, or the champion
    CONVERT = "convert"  #: Hugging Face to Megatron's torch_dist
    SFT = "sft"  #: supervised fine-tuning (passed through on a warm start)
    GRPO = "grpo"  #: reinforcement learning on executed kernels
    EXPORT = "export"  #: torch_dist to Hugging Face, for the start and the trained model
    EVALUATE = "evaluate"  #: the held-out benchmark and its report


#: Stages that keep checkpoints and continue from the last complete one.
RESUMABLE = frozenset({Stage.SFT, Stage.GRPO})


@dataclass(frozen=True)
class Layout:
    """The paths of one profile, all below `root`, the checkout."""

    root: Path
    profile: str

    @property
    def home(self) -> Path:
        """`artifacts/<profile>`."""
        return self.root / "artifacts" / self.profile

    @property
    def profile_file(self) -> Path:
        """The profile's settings."""
        return self.root / "infra" / "profiles" / f"{self.profile}.yaml"

    @property
    def night_file(self) -> Path:
        """Parameters and settings of the active night; DVC watches it, stages read nothing else."""
        return self.home / "night.yaml"

    @property
    def models(self) -> Path:
        """Immutable copies of promoted models."""
        return self.home / "models"

    @property
    def history(self) -> Path:
        """A git repository in which every night that has ended is a commit."""
        return self.home / "history"

    @property
    def ledger(self) -> Path:
        """What every stage has cost, a line each time."""
        return self.home / "ledger.jsonl"

    def report(self, night: str) -> Path:
        """The folder of a night's pages, which later nights are compared with."""
        return self.home / "reports" / night

    def night_record(self, night: str) -> Path:
        """Parameters of a night that was opened before, kept so that it can be reproduced."""
        return self.home / "nights" / f"{night}.yaml"

    def decision(self, night: str) -> Path:
        """What the promotion gate decided about a night, and about which model."""
        return self.home / "nights" / f"{night}.decision.json"

    def stage(self, stage: Stage) -> Path:
        """A stage's outputs."""
        return self.home / stage

    def training(self, night: str, stage: Stage) -> Path:
        """Where a training stage works: its checkpoints, which no other night and no DVC command touches."""
        return self.home / "training" / night / stage

    def manifest(self, stage: Stage) -> Path:
        """The file without which a stage is not done."""
        return self.stage(stage) / "manifest.json"

    def failure(self, stage: Stage) -> Path:
        """Why the last attempt at a stage ended early, in one sentence."""
        return self.home / "locks" / f"{stage}.failure"

    def lock(self, name: str) -> Path:
        """The lock file of a stage, or of the night as a whole."""
        return self.home / "locks" / f"{name}.lock"
