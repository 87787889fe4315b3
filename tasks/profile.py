"""A profile: one YAML file whose sections, with flags on top, become the rooms' settings, validated once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from data.settings import DataSettings
from evaluation.errors import WarpsmithError
from evaluation.marks import Affects, Result, part
from evaluation.problem import Frozen
from evaluation.settings import EvaluationSettings
from evaluation.timing.samples import REPORT, TimingSettings
from tasks.disk.layout import Layout
from tasks.models.gate_settings import BudgetSettings, GateSettings
from training.arguments.parse import Overrides, read_arguments
from training.arguments.profile_file import read_settings, validated
from training.settings.jobs import MegatronSettings, ModelSettings, TrainingSettings
from training.settings.launcher import LauncherSettings
from training.settings.optimization import GrpoSettings, SftSettings
from training.settings.rollout import BUILT_IN, RolloutSettings
from training.settings.sglang import SglangSettings
from training.settings.upstream import nearest


class BenchmarkSettings(Frozen):
    """How the start and the trained model are compared on held-out problems."""

    samples_per_problem: Result[int] = Field(default=4, ge=1)
    """Responses that each model gives to each problem."""
    max_new_tokens: Result[int | None] = Field(default=None, ge=1)
    """Longest response in tokens; none means that of the rollouts."""
    start_seed: Result[int] = 11
    """Seed of the starting model's samples."""
    trained_seed: Result[int] = 12
    """Seed of the trained model's samples; it differs, because shared draws would be correlated."""
    check_seed: Result[int] = 13
    """Seed of the random inputs that kernels are judged with."""
    timing: TimingSettings = REPORT
    """What correct kernels are compared with on a GPU; torch.compile takes seconds a problem."""


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
    sglang: SglangSettings
    """Section `sglang:`."""
    evaluation: EvaluationSettings
    """Section `evaluation:`."""
    benchmark: BenchmarkSettings
    """Section `benchmark:`."""
    launcher: LauncherSettings
    """Section `launcher:`."""
    gate: GateSettings = GateSettings()
    """Section `gate:`, which may be left out."""
    budget: BudgetSettings = BudgetSettings()
    """Section `budget:`, which may be left out."""

    @field_validator("night", mode="before")
    @classmethod
    def _date_to_text(cls, value: Any) -> Any:
        """YAML reads an unquoted date as one."""
        return value.isoformat() if isinstance(value, date) else value

    @model_validator(mode="after")
    def _training_sections_agree(self) -> Self:
        try:
            _ = self.training
        except ValidationError as error:
            raise ValueError(str(error.errors()[0].get("ctx", {}).get("error", error))) from None
        return self

    @model_validator(mode="after")
    def _reward_of_the_task(self) -> Self:
        task, reward = self.data.task.value, self.rollout.reward_function
        if reward in BUILT_IN and reward != task:
            raise ValueError(
                f"rollout.reward_function {reward} does not judge the prompts of `data.task: {task}`; "
                f"set it to {task}"
            )
        return self

    @model_validator(mode="after")
    def _a_model_to_start_from(self) -> Self:
        try:
            _ = self.model.hf_checkpoint or self.model.shape
        except WarpsmithError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def training(self) -> TrainingSettings:
        """The sections that training reads."""
        return TrainingSettings(**{name: getattr(self, name) for name in TrainingSettings.model_fields})

    def sections(self, wanted: Affects, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The resolved settings of some sections, by default of all, that have the mark `wanted`."""
        return {name: part(getattr(self, name), wanted) for name in (SECTIONS if names is None else names)}


#: The sections of a profile: all that flags can change.
SECTIONS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        name: field.annotation
        for name, field in Profile.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
)


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings as dotted names and values."""
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        path = f"{prefix}{name}"
        rows += flat(value, f"{path}.") if isinstance(value, dict) else [(path, value)]
    return rows


def read_flags(layout: Layout, flags: Sequence[str]) -> tuple[Profile, Overrides]:
    """The profile with flags on top, and what they change in it.

    Raises:
        WarpsmithError: for a mistake in either.
    """
    base = load_profile(layout)
    overrides = read_arguments(flags, {name: getattr(base, name) for name in SECTIONS})
    return load_profile(layout, overrides), overrides


def load_profile(layout: Layout, overrides: Overrides | None = None) -> Profile:
    """Read and check `infra/profiles/<profile>.yaml`, with what flags change in it.

    Raises:
        WarpsmithError: if there is no such profile, or a name or value in it is wrong.
    """
    path = layout.profile_file
    if not path.is_file():
        raise WarpsmithError(_unknown_profile(layout))
    return validated(Profile, {**read_settings(path), "name": layout.profile}, path, overrides)


def _unknown_profile(layout: Layout) -> str:
    names = sorted(path.stem for path in layout.profile_file.parent.glob("*.yaml"))
    hint = f"; the nearest valid name is `{nearest(layout.profile, names)}`" if names else ""
    return f"there is no profile `{layout.profile}`{hint}"
