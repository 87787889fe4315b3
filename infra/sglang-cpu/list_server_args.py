"""Writes the names, types and defaults of SGLang's server arguments as JSON.

Profiles are checked against that list, so that a wrong name is found without an installed SGLang. It is
written anew when the pinned SGLang changes:

    make sglang
    PYTHONPATH=infra/sglang-cpu/stubs .venv/bin/python infra/sglang-cpu/list_server_args.py \
        > training/rollout/sglang/server_args.json

`flag` is the argument's name on the server's command line, which also says what each does (`--help`).
"""

from __future__ import annotations

import argparse
import json
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from sglang.srt.arg_groups.arg_utils import record_fields
from sglang.srt.server_args import ServerArgs
from sglang.version import __version__


def list_fields() -> dict[str, dict[str, Any]]:
    """The fields of ServerArgs that its command line can set, by name, in its order."""
    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    flags = {action.dest: _flag(action) for action in parser._actions}
    types = get_type_hints(ServerArgs, include_extras=True)
    return {
        field.name: {
            "type": _type_name(types[field.name]),
            "default": parser.get_default(field.name),
            "flag": flags[field.name],
        }
        for field in record_fields(ServerArgs)
        if field.name in flags
    }


def _flag(action: argparse.Action) -> str:
    """The spelling nearest to the field's name; some have older aliases."""
    own = "--" + action.dest.replace("_", "-")
    return own if own in action.option_strings else action.option_strings[0]


def _type_name(annotation: Any) -> str:
    """A type as it is written today: `str | None`, `list[int]`, `'direct' | 'hybrid'`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is Literal:
        return " | ".join(repr(value) for value in arguments)
    if origin in (Union, UnionType):
        return " | ".join(_type_name(argument) for argument in arguments)
    if annotation in (Any, NoneType):
        return "Any" if annotation is Any else "None"
    name = (origin or annotation).__name__
    return f"{name}[{', '.join(_type_name(argument) for argument in arguments)}]" if arguments else name


def main() -> None:
    """Print the list, one field a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(field)}" for name, field in list_fields().items()]
    print(f'{{"version": {json.dumps(__version__)}, "fields": {{')
    print(",\n".join(lines))
    print("}}")


if __name__ == "__main__":
    main()
