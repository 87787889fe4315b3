"""Reads a profile's YAML file, puts what flags change on top, and explains what is wrong with the result.

Unknown names are the commonest mistake in such files, so each is answered with the nearest valid one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evaluation.errors import WarpsmithError
from training.arguments.catalogue import flag_name
from training.settings.upstream import nearest

Settings = TypeVar("Settings", bound=BaseModel)

#: All that a profile may hold: what training reads, and what only nights do.
SECTIONS = frozenset({"model", "megatron", "sft", "grpo", "rollout", "sglang", "evaluation"})
NIGHT_SECTIONS = frozenset({"night", "data", "benchmark", "launcher", "gate", "budget"})


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that a mapping has already, of which YAML's own loader would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(
                    problem=f"`{key.value}` is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_settings(path: Path) -> dict[str, Any]:
    """The sections of a profile's file, as they are written.

    Raises:
        WarpsmithError: if it cannot be read, is no YAML mapping, or has a section that nobody reads.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8-sig"), _UniqueKeys)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise WarpsmithError(f"{path} cannot be read ({reason}); name a profile's YAML file") from None
    except yaml.YAMLError as error:
        raise WarpsmithError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise WarpsmithError(f"{path} holds no settings; infra/profiles/cpu.yaml shows how it is written")
    _require_known_sections(values, path)
    return values


def _require_known_sections(values: Mapping[Any, Any], path: Path) -> None:
    """Raise WarpsmithError for a section that would be left aside in silence."""
    if not values.keys() >= SECTIONS:
        return  # whoever reads the profile names the one that is missing
    known = SECTIONS | NIGHT_SECTIONS
    unknown = sorted(map(str, values.keys() - known))
    if unknown:
        hint = f"the nearest valid name is `{nearest(unknown[0], known)}`"
        raise WarpsmithError(f"{path}: `{unknown[0]}` is not a setting; {hint}")


def with_overrides(values: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The sections `values` with what flags change in them."""
    changed = {
        section: {**values.get(section, {}), **changes}
        for section, changes in overrides.items()
        if changes and isinstance(values.get(section, {}), dict)
    }
    return {**values, **changed}


def validated(
    kind: type[Settings],
    values: Mapping[str, Any],
    source: Path,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """The settings of a profile, checked and immutable.

    Args:
        kind: the class whose fields are the profile's sections.
        values: the sections as they are written.
        source: the file that they come from, for messages.
        overrides: what flags change.

    Raises:
        WarpsmithError: naming the first mistake and its remedy.
    """
    overrides = overrides or {}
    flags = _flags(overrides)
    where = f"{source} with {flags}" if flags else str(source)
    try:
        settings = kind.model_validate(with_overrides(values, overrides))
    except ValidationError as error:
        unknown_names_first = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise WarpsmithError(f"{where}: {_explain(kind, unknown_names_first)}") from None
    for setting, value in _not_finite(settings.model_dump()):  # YAML has `.inf` and `.nan`
        raise WarpsmithError(f"{where}: `{setting}` cannot be {value}: it must be a finite number")
    return settings


def _not_finite(value: Any, setting: str = "") -> Iterator[tuple[str, float]]:
    """The settings that are infinite or no number, with their values."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _not_finite(inner, f"{setting}.{name}" if setting else str(name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _not_finite(inner, setting)
    elif isinstance(value, float) and not isfinite(value):
        yield setting, value


def _flags(overrides: Mapping[str, Mapping[str, Any]]) -> str:
    """The flags that overrides may have come from."""
    return " ".join(
        f"--{flag_name(f'{section}.{name}')}" for section, values in overrides.items() for name in values
    )


def _explain(kind: type[BaseModel], detail: ErrorDetails) -> str:
    """One mistake in a profile as a clause that names the setting and the remedy."""
    setting = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        parents = [str(part) for part in detail["loc"][:-1]]
        valid = [".".join((*parents, field)) for field in _fields(kind, parents)]
        return f"`{setting}` is not a setting; the nearest valid name is `{nearest(setting, valid)}`"
    if detail["type"] == "missing":
        remedy = f"add `{setting}: {{}}` for its defaults" if len(detail["loc"]) == 1 else "set it"
        return f"`{setting}` is missing; {remedy}"
    if detail["type"] == "model_type" and detail["input"] is None:
        return f"`{setting}` is empty; write `{setting}: {{}}` for its defaults"
    reason = detail["msg"].removeprefix("Value error, ")
    if not setting:  # sections that do not go together; the reason names them
        return reason
    value = f" cannot be {detail['input']!r}" if isinstance(detail["input"], str | int | float) else ""
    return f"`{setting}`{value}: {reason}"


def _fields(kind: type[BaseModel], parents: Iterable[str]) -> list[str]:
    """Names of the settings in the section at the path `parents`; a profile's `name` is not one."""
    for parent in parents:
        nested = [kind.model_fields[parent].annotation, *get_args(kind.model_fields[parent].annotation)]
        kind = next(member for member in nested if isinstance(member, type) and issubclass(member, BaseModel))
    return sorted(set(kind.model_fields) - {"name"})
