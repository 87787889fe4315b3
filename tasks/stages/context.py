"""What a stage's body is given to work with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.disk.layout import Layout, Stage
from tasks.night import Night
from tasks.profile import Profile


@dataclass(frozen=True)
class Context:
    """One run of one stage."""

    stage: Stage
    layout: Layout
    profile: Profile
    night: Night
    elsewhere: Path | None = None
    """Where it writes instead, if not to the stage's own folder."""

    @property
    def out(self) -> Path:
        """Where the stage writes."""
        return self.elsewhere or self.layout.stage(self.stage)

    @property
    def work(self) -> Path:
        """Where a training stage keeps its checkpoints and logs until it is done, and after."""
        return self.layout.training(self.night.name, self.stage)

    def output_of(self, stage: Stage) -> Path:
        """What an earlier stage wrote."""
        return self.layout.stage(stage)
