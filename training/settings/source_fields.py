"""Reads the fields of a settings class from its source: types, defaults and the docstrings under them.

Importing Megatron takes seconds, and no class keeps the docstrings of its fields at run time. The text of the
source has all of it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FIELD = ("field", "Field")


@dataclass(frozen=True)
class SourceField:
    """A field as its class declares it; everything is text."""

    name: str
    """The field's name."""
    type: str
    """Its annotation."""
    default: str
    """The expression it defaults to; empty if it has none."""
    help: str
    """The docstring under it on one line; empty if it has none."""


@cache
def class_fields(path: Path, class_name: str) -> tuple[SourceField, ...]:
    """The annotated fields in the body of a class, in their order; inherited ones are not among them."""
    return tuple(_fields(_class_body(path, class_name)))


def enum_names(path: Path, class_name: str) -> tuple[str, ...]:
    """The names of an enum's members, in their order; raises LookupError if there is no such class."""
    targets = [
        target
        for statement in _class_body(path, class_name)
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    ]
    return tuple(target.id for target in targets if isinstance(target, ast.Name))


def _class_body(path: Path, class_name: str) -> list[ast.stmt]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return node.body
    raise LookupError(f"{path} defines no class {class_name}")


def _fields(body: list[ast.stmt]) -> list[SourceField]:
    fields = []
    for statement, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            fields.append(
                SourceField(
                    name=statement.target.id,
                    type=_type(statement.annotation),
                    default=_default(statement.value),
                    help=_docstring(below),
                )
            )
    return fields


def _type(annotation: ast.expr) -> str:
    """The annotation as it is written, without the quotes of one that is a string."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def _default(value: ast.expr | None) -> str:
    """The default's expression, also where `field(...)` or `Field(...)` holds it."""
    if value is None:
        return ""
    if not isinstance(value, ast.Call) or ast.unparse(value.func).rpartition(".")[2] not in _FIELD:
        return ast.unparse(value)
    given = {keyword.arg: keyword.value for keyword in value.keywords}
    return ast.unparse(given["default"]) if "default" in given else ""


def _docstring(statement: ast.stmt) -> str:
    """The text of a statement that is nothing but a string."""
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    text = statement.value.value if is_text else ""  # type: ignore[attr-defined]
    return " ".join(text.split()) if isinstance(text, str) else ""
