"""The `--help` of commands that take flags for settings: three groups, with types, defaults, docstrings."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.arguments.catalogue import Flag, Group, Sections, Setting, flag_table
from training.settings.implied import MODEL_FIELDS
from training.settings.source_fields import SourceField, class_fields
from training.settings.supported import reason_against

_WIDTH = 110
_HEADINGS = {
    Group.MEGATRON: "Megatron: any field of Transformer-, Optimizer- and DistributedDataParallelConfig",
    Group.SGLANG: "SGLang: any field of ServerArgs, after --sglang-",
    Group.OURS: "Warpsmith: --<section>-<name> for every setting of a profile, and slime's names",
}


def add_settings_help(parser: argparse.ArgumentParser, sections: Sections) -> None:
    """Give `parser`, made with `add_help=False`, a `--help` that lists the flags of all settings too."""

    class Help(argparse.Action):
        def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
            try:
                print(parser.format_help(), settings_help(sections), sep="\n", flush=True)
            except BrokenPipeError:  # `--help | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            parser.exit()

    parser.add_argument("-h", "--help", nargs=0, action=Help, help="show this and every setting's flag")


def settings_help(sections: Sections) -> str:
    """All flags with type, default and what they do, group by group."""
    table = flag_table(sections)
    also = _other_spellings(table)
    parts = []
    for group, heading in _HEADINGS.items():
        flags = sorted((flag for flag in table.values() if flag.group is group), key=lambda flag: flag.name)
        parts += [f"{heading}\n", *(_entry(flag, also) for flag in flags if _has_an_entry(flag))]
    return "\n".join(parts)


def _has_an_entry(flag: Flag) -> bool:
    """A mere second spelling of one setting stands with the setting."""
    return flag.alias is None or len(flag.settings) > 1 or bool(flag.alias.help) or flag.alias.is_switch


def _other_spellings(table: Mapping[str, Flag]) -> Mapping[str, Sequence[str]]:
    """By the name of a setting, the aliases that have no entry of their own."""
    also = defaultdict(list)
    for flag in table.values():
        if not _has_an_entry(flag):
            also[flag.settings[0].name].append(f"--{flag.name}")
    return also


def _entry(flag: Flag, also: Mapping[str, Sequence[str]]) -> str:
    if flag.alias is not None:
        head = f"  --{flag.name}" if flag.is_boolean else f"  --{flag.name} {flag.settings[0].type_text}"
        sets = f"Sets {' and '.join(setting.name for setting in flag.settings)}."
        return "\n".join([head, *_wrapped(f"{sets} {flag.alias.help}")])
    (setting,) = flag.settings
    kind = "" if setting.type_text == "bool" else f" {setting.type_text}"
    other = "".join(f", {spelling}" for spelling in also.get(setting.name, ()))
    return "\n".join(
        [f"  --{flag.name}{other}{kind} (default {setting.default_text})", *_wrapped(describe(setting))]
    )


def _wrapped(text: str) -> Iterator[str]:
    indent = " " * 8
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def describe(setting: Setting) -> str:
    """The docstring under a setting, in the class that declares it last."""
    if isinstance(setting.declared_in, SourceField):
        return _limits(setting) + setting.declared_in.help
    for owner in setting.declared_in.__mro__:
        if setting.path[-1] in inspect.get_annotations(owner):
            fields = class_fields(Path(inspect.getfile(owner)), owner.__name__)
            return next(field.help for field in fields if field.name == setting.path[-1])
    return ""


def _limits(setting: Setting) -> str:
    """What is to be said first of a field of Megatron's that is not free here; empty if it is."""
    section, name = setting.path
    if section != "megatron":
        return ""
    if name in MODEL_FIELDS:
        return "Follows from config.json; another value is refused. "
    reason = reason_against(name)
    return "" if reason is None else f"Fixed, because {reason}. "
