"""The settings that Megatron-core and SGLang define: names, types and defaults, without importing either.

Megatron's are read from the installed package's source, SGLang's from `rollout/sglang/server_args.json`,
because the server is often installed elsewhere or not at all.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeGuard, Union

from pydantic import TypeAdapter, ValidationError

from evaluation.errors import WarpsmithError
from training.settings.source_fields import SourceField, class_fields, enum_names

#: Made from the SGLang release that the project is tested with.
_SERVER_ARGS = Path(__file__).parents[1] / "rollout" / "sglang" / "server_args.json"
#: Where Megatron defines the enums that its fields have.
_MEGATRON_ENUMS = "transformer/enums.py"
#: File and class of Megatron's configs; for a name that several of them have, the first one's text is shown.
_MEGATRON_CONFIGS = (
    ("transformer/transformer_config.py", "TransformerConfig"),
    ("model_parallel_config.py", "ModelParallelConfig"),  # what TransformerConfig inherits
    ("optimizer/optimizer_config.py", "OptimizerConfig"),
    ("distributed/distributed_data_parallel_config.py", "DistributedDataParallelConfig"),
)
#: The types whose values can be written as text; others, such as `Callable`, do not resolve.
_PLAIN: Mapping[str, Any] = {
    **{kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)},
    **{"Any": Any, "Dict": dict, "List": list, "Tuple": tuple},
}


@cache
def megatron_fields() -> Mapping[str, SourceField]:
    """Every field of TransformerConfig, OptimizerConfig and DistributedDataParallelConfig.

    Raises:
        WarpsmithError: Megatron-core is not installed.
    """
    package = _megatron()
    if package is None:
        raise WarpsmithError("Megatron-core is not installed; `make setup` installs it")
    configs = [class_fields(package / path, name) for path, name in _MEGATRON_CONFIGS]
    return {field.name: field for fields in reversed(configs) for field in fields}


def _megatron() -> Path | None:
    """The folder of Megatron-core, if it is installed."""
    found = importlib.util.find_spec("megatron.core")
    return None if found is None or found.origin is None else Path(found.origin).parent


@cache
def server_arguments() -> Mapping[str, Mapping[str, Any]]:
    """Fields of SGLang's ServerArgs by name: `type`, `default` and `flag` of each."""
    fields: dict[str, dict[str, Any]] = json.loads(_SERVER_ARGS.read_text())["fields"]
    return fields


@cache
def sglang_fields() -> Mapping[str, SourceField]:
    """Every field of SGLang's ServerArgs."""
    return {
        name: SourceField(name, field["type"], repr(field["default"]), field.get("help", ""))
        for name, field in server_arguments().items()
    }


@cache
def resolve_type(text: str) -> Any:
    """The type that an annotation describes; None if its values cannot be written as text.

    Functions, dtypes and classes of the package itself are such; in a union they are left out. An enum of
    Megatron's has the names of its members.
    """
    try:
        kind = _resolve(ast.parse(text, mode="eval").body)
    except (SyntaxError, LookupError):
        return None
    return None if kind is type(None) else kind


def _resolve(node: ast.expr) -> Any:
    """The type of one part of an annotation; raises LookupError if text cannot give its values."""
    match node:
        case ast.Constant(value=None):
            return type(None)
        case ast.Constant(value=value):
            return Literal[value]
        case ast.BinOp():
            return _union(_members(node))
        case ast.Subscript(value=value, slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return _subscript(ast.unparse(value).removeprefix("typing."), parts)
    name = ast.unparse(node).removeprefix("typing.")
    return _PLAIN[name] if name in _PLAIN else Literal[_megatron_enum(name)]


def _megatron_enum(name: str) -> tuple[str, ...]:
    """The members of an enum of Megatron's; raises LookupError if it has none of that name."""
    package = _megatron()
    if package is None:
        raise LookupError(name)
    return enum_names(package / _MEGATRON_ENUMS, name)


def _subscript(name: str, parts: list[ast.expr]) -> Any:
    match name.lower():
        case "optional":
            return _union([*parts, ast.Constant(value=None)])
        case "union":
            return _union(parts)
        case "literal":
            return Literal[tuple(ast.literal_eval(part) for part in parts)]
        case container:
            return _PLAIN[container][tuple(_resolve(part) for part in parts)]


def _union(members: list[ast.expr]) -> Any:
    """The type of `A | B | ...`; the constants among them become one Literal, for one clear error message."""
    constants = [member.value for member in members if _is_choice(member)]
    kinds = [Literal[tuple(constants)]] if constants else []
    for member in members:
        with suppress(LookupError):
            kinds += [] if _is_choice(member) else [_resolve(member)]
    if not kinds:
        raise LookupError("no member can be written as text")
    return Union[tuple(kinds)]  # noqa: UP007  (their number is not known here)


def _is_choice(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and node.value is not None


def _members(node: ast.expr) -> list[ast.expr]:
    """A, B and C of `A | B | C`."""
    if isinstance(node, ast.BinOp):
        return [*_members(node.left), *_members(node.right)]
    return [node]


def with_free(values: Any, own: Collection[str], convert: Callable[[str, Any], Any]) -> Any:
    """A section as it is written, with every setting that is not one of `own` converted by (name, value)."""
    if not isinstance(values, dict):
        return values
    free = sorted(map(str, values.keys() - own))
    return {**values, **{name: convert(name, values.get(name)) for name in free}}


def checked(field: SourceField, value: Any) -> Any:
    """`value` as the type of `field`.

    Raises:
        ValueError: with the reason, if it is not of that type or nothing that is written down can be.
    """
    kind = resolve_type(field.type)
    if kind is None:
        raise ValueError(f"`{field.name}` takes a {field.type}, which is not text; leave it out")
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ValueError(f"`{field.name}` cannot be {value!r}: {reason} ({field.type})") from None


def nearest(name: str, valid: Iterable[str]) -> str:
    """The valid name that is most like `name`, however far it is and in whichever case."""
    folded = {each.casefold(): each for each in sorted(valid)}
    return folded[difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.0)[0]]
