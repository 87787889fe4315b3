"""Every setting and every flag, built from the settings classes and from Megatron's and SGLang's own fields.

The flag of a setting is `--<section>-<name>`, except that the section `megatron:` is not named, so that its
settings have the flags that Megatron gives them. `training.arguments.aliases` adds the spellings of slime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from training.arguments.aliases import ALIASES, OPTIMIZER, RENAMED, Alias
from training.settings.source_fields import SourceField
from training.settings.upstream import megatron_fields, resolve_type, sglang_fields


class Group(StrEnum):
    """Whose settings a flag belongs to; the three parts of `--help`."""

    MEGATRON = "Megatron"
    SGLANG = "SGLang"
    OURS = "Warpsmith"


@dataclass(frozen=True)
class Setting:
    """One setting of a profile."""

    path: tuple[str, ...]
    """Section and name, with the names between them where settings are nested."""
    kind: Any
    """Its type, with its bounds, as Pydantic takes it; None if no text can give its values."""
    type_text: str
    """Its type, for people."""
    default_text: str
    """Its default, for people."""
    declared_in: type[BaseModel] | SourceField
    """Where it is declared: a settings class of ours, or upstream's field."""

    @property
    def name(self) -> str:
        """`section.name`."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Flag:
    """One command-line flag."""

    name: str
    """Without its dashes."""
    group: Group
    """Whose it is."""
    settings: tuple[Setting, ...]
    """What it sets: one setting, or several to the same value."""
    alias: Alias | None = None
    """The alias that it comes from, if it does."""

    @property
    def kind(self) -> Any:
        """The type of its value."""
        return bool if self.alias is not None and self.alias.is_switch else self.settings[0].kind

    @property
    def is_boolean(self) -> bool:
        """Whether it may stand without a value, and has a `--no-` form."""
        return _has(self.kind, bool)

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return any(_has(self.kind, container) for container in (list, tuple, set))

    @property
    def is_mapping(self) -> bool:
        """Whether its value is written as a YAML mapping."""
        return _has(self.kind, dict)


Sections = Mapping[str, type[BaseModel]]


def flag_table(sections: Sections) -> dict[str, Flag]:
    """All flags by their names, for the sections of a profile."""
    settings = {setting.name: setting for setting in _settings(sections)}
    table = {}
    for setting in settings.values():
        name = flag_name(setting.name)
        table[name] = Flag(name, _group(setting.path[0]), (setting,))
    for alias in ALIASES:
        group = Group.MEGATRON if alias in OPTIMIZER else _group(alias.targets[0].partition(".")[0])
        targets = tuple(settings[target] for target in alias.targets)
        table[alias.name] = Flag(alias.name, group, targets, alias)
    return table


def flag_name(setting: str) -> str:
    """The flag of `section.name` by the rule, without its dashes."""
    section, *names = setting.split(".")
    parts = names if section == "megatron" else [section, *names]
    return RENAMED.get(setting) or "-".join(parts).replace("_", "-")


def _group(section: str) -> Group:
    return {"megatron": Group.MEGATRON, "sglang": Group.SGLANG}.get(section, Group.OURS)


def _settings(sections: Sections) -> Iterator[Setting]:
    for section, model in sections.items():
        yield from _declared((section,), model)
        if section == "megatron":
            per_stage = {alias.name.replace("-", "_") for alias in OPTIMIZER}
            yield from _upstream(section, megatron_fields(), {*model.model_fields, *per_stage})
        elif section == "sglang":
            yield from _upstream(section, sglang_fields(), set(model.model_fields))


def _declared(path: tuple[str, ...], model: type[BaseModel]) -> Iterator[Setting]:
    """The settings of one of our classes, nested ones included."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _declared((*path, name), kind)
        else:
            bounded = Annotated[(kind, *info.metadata)] if info.metadata else kind
            yield Setting((*path, name), bounded, type_text(kind), _default_text(info), model)


def _upstream(section: str, fields: Mapping[str, SourceField], declared: set[str]) -> Iterator[Setting]:
    for name, field in fields.items():
        if name in declared or name.startswith("_"):
            continue
        yield Setting((section, name), resolve_type(field.type), field.type, field.default, field)


def type_text(kind: Any) -> str:
    """A type as `--help` shows it: choices of an enum, `X | none` for what may be left empty."""
    if kind is type(None):
        return "none"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "|".join(kind)
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(type_text(member) for member in get_args(kind))
    if get_origin(kind) is Annotated:
        return type_text(get_args(kind)[0])
    return kind.__name__ if get_origin(kind) is None and isinstance(kind, type) else str(kind)


def _default_text(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    return str(value.value) if isinstance(value, StrEnum) else "none" if value is None else repr(value)


def allows(kind: Any, value: Any) -> bool:
    """Whether a type is `value`, a union with it, or a Literal of it."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(allows(member, value) for member in get_args(kind))
    if get_origin(kind) is Annotated:
        return allows(get_args(kind)[0], value)
    return value is None and kind is type(None)


def _has(kind: Any, wanted: type) -> bool:
    """Whether a type, or a member of a union, is `wanted` or a container of that kind."""
    if get_origin(kind) in (Union, UnionType):
        return any(_has(member, wanted) for member in get_args(kind))
    if get_origin(kind) is Annotated:
        return _has(get_args(kind)[0], wanted)
    return kind is wanted or get_origin(kind) is wanted
