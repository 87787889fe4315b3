"""A profile: one YAML file whose sections become the rooms' validated settings.

Unknown names are the commonest mistake in such files, so each is answered with the nearest valid one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from data.settings import DataSettings
from evaluation.errors import WarpsmithError
from evaluation.problem import Frozen
from evaluation.settings import EvaluationSettings
from tasks.layout import Layout
from training.config import (
    GrpoSettings,
    MegatronSettings,
    ModelSettings,
    RolloutSettings,
    SftSettings,
    TrainingSettings,
)


class LauncherKind(StrEnum):
    """Who starts a stage's processes."""

    LOCAL = "local"  #: this machine, at once


class LauncherSettings(Frozen):
    """Where stages run."""

    kind: LauncherKind = LauncherKind.LOCAL
    """Who starts a stage's processes."""


class BenchmarkSettings(Frozen):
    """How the start and the trained model are compared on held-out problems."""

    samples_per_problem: int = Field(default=4, ge=1)
    """Responses that each model gives to each problem."""
    start_seed: int = 11
    """Seed of the starting model's samples."""
    trained_seed: int = 12
    """Seed of the trained model's samples; it differs, because shared draws would be correlated."""
    check_seed: int = 13
    """Seed of the random inputs that kernels are judged with."""


class Profile(Frozen):
    """A profile, resolved: what every stage of a night runs with."""

    name: str
    """The file's name."""
    night: str
    """The night that runs when none is named."""
    data: DataSettings
    """Section `data:`."""
    model: ModelSettings
    """Section `model:`."""
    megatron: MegatronSettings
    """Section `megatron:`."""
    sft: SftSettings
    """Section `sft:`."""
    grpo: GrpoSettings
    """Section `grpo:`."""
    rollout: RolloutSettings
    """Section `rollout:`."""
    evaluation: EvaluationSettings
    """Section `evaluation:`."""
    benchmark: BenchmarkSettings
    """Section `benchmark:`."""
    launcher: LauncherSettings
    """Section `launcher:`."""

    @field_validator("night", mode="before")
    @classmethod
    def _date_to_text(cls, value: Any) -> Any:
        """YAML reads an unquoted date as one."""
        return value.isoformat() if isinstance(value, date) else value

    @property
    def training(self) -> TrainingSettings:
        """The sections that training reads."""
        return TrainingSettings(
            model=self.model, megatron=self.megatron, sft=self.sft, grpo=self.grpo, rollout=self.rollout
        )

    def sections(self, names: Iterable[str]) -> dict[str, Any]:
        """The resolved values of some sections, as JSON has them."""
        return self.model_dump(mode="json", include=set(names))


def load_profile(layout: Layout) -> Profile:
    """Read and check `infra/profiles/<profile>.yaml`.

    Raises:
        WarpsmithError: if there is no such profile, or a name or value in it is wrong.
    """
    path = layout.profile_file
    if not path.is_file():
        raise WarpsmithError(_unknown_profile(layout))
    values = _read(path)
    try:
        return Profile.model_validate({**values, "name": layout.profile})
    except ValidationError as error:
        unknown_names_first = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise WarpsmithError(f"{path}: {_explain(unknown_names_first)}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise WarpsmithError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise WarpsmithError(f"{path} holds no settings; infra/profiles/cpu.yaml shows how it is written")
    return values


def _unknown_profile(layout: Layout) -> str:
    names = sorted(path.stem for path in layout.profile_file.parent.glob("*.yaml"))
    return f"there is no profile `{layout.profile}`{_hint(layout.profile, names)}"


def _explain(detail: ErrorDetails) -> str:
    """One mistake in a profile as a clause that names the setting and the remedy."""
    setting = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        *parents, name = (str(part) for part in detail["loc"])
        valid = _fields(parents)
        return f"`{setting}` is not a setting{_hint(name, valid, '.'.join(parents))}"
    if detail["type"] == "missing":
        remedy = f"add `{setting}: {{}}` for its defaults" if len(detail["loc"]) == 1 else "set it"
        return f"`{setting}` is missing; {remedy}"
    if detail["type"] == "model_type" and detail["input"] is None:
        return f"`{setting}` is empty; write `{setting}: {{}}` for its defaults"
    reason = detail["msg"].removeprefix("Value error, ")
    value = f" cannot be {detail['input']!r}" if isinstance(detail["input"], str | int | float) else ""
    return f"`{setting}`{value}: {reason}"


def _fields(parents: Iterable[str]) -> list[str]:
    """Names of the settings in the section at the path `parents`."""
    model: type[BaseModel] = Profile
    for parent in parents:
        nested = [model.model_fields[parent].annotation, *get_args(model.model_fields[parent].annotation)]
        model = next(kind for kind in nested if isinstance(kind, type) and issubclass(kind, BaseModel))
    return sorted(set(model.model_fields) - {"name"})


def _hint(name: str, valid: list[str], parent: str = "") -> str:
    """The nearest valid name, however far it is."""
    nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.0)
    return f"; the nearest valid name is `{'.'.join(filter(None, (parent, *nearest)))}`" if nearest else ""
