"""The settings that Megatron-core and SGLang define: names, types and defaults, without importing either.

Profiles and flags may set any of them. Megatron's are read from the installed package's source, SGLang's from
`rollout/sglang/server_args.json`, because the server is often installed elsewhere or not at all.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeGuard, Union

from pydantic import TypeAdapter, ValidationError

from evaluation.errors import WarpsmithError
from training.arguments.source_fields import SourceField, class_fields
from training.rollout.sglang.settings import server_arguments

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
    found = importlib.util.find_spec("megatron.core")
    if found is None or found.origin is None:
        raise WarpsmithError("Megatron-core is not installed; `make setup` installs it")
    package = Path(found.origin).parent
    configs = [class_fields(package / path, name) for path, name in _MEGATRON_CONFIGS]
    return {field.name: field for fields in reversed(configs) for field in fields}


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

    Functions, dtypes and enums of the package itself are such; in a union they are left out.
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
    return _PLAIN[ast.unparse(node).removeprefix("typing.")]


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
    """The valid name that is most like `name`, however far it is."""
    return difflib.get_close_matches(name, sorted(valid), n=1, cutoff=0.0)[0]
