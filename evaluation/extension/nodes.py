"""The syntax of host code, C++ and Python alike: what both readers give and the interpreter follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Literal:
    """A number, a string, true, false, or None for a null pointer."""

    line: int
    value: int | float | bool | str | None


@dataclass(frozen=True)
class Name:
    """A name, qualified by `::` in C++."""

    line: int
    text: str


@dataclass(frozen=True)
class Member:
    """`object.name` or `object->name`."""

    line: int
    object: Node
    name: str


@dataclass(frozen=True)
class Call:
    """A call; `template` holds the arguments between angle brackets as text."""

    line: int
    function: Node
    arguments: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...] = ()
    template: tuple[str, ...] = ()


@dataclass(frozen=True)
class Index:
    """`object[index]`."""

    line: int
    object: Node
    index: Node


@dataclass(frozen=True)
class Unary:
    """A sign, `!`, `~`, `&` or `*` before its operand."""

    line: int
    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary:
    """Two operands with an operator between them."""

    line: int
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Choice:
    """`condition ? yes : no`."""

    line: int
    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True)
class Cast:
    """A value brought to a type, in any of C++'s spellings."""

    line: int
    type: str
    operand: Node


@dataclass(frozen=True)
class SizeOf:
    """`sizeof(type)`."""

    line: int
    type: str


@dataclass(frozen=True)
class Items:
    """`{a, b}`, or a tuple or list of Python."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Assignment:
    """`target = value`, or with an operator before the `=`."""

    line: int
    target: Node
    operator: str
    value: Node


@dataclass(frozen=True)
class Lambda:
    """A function without a name; what it captures is everything."""

    line: int
    parameters: tuple[str, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class KernelLaunch:
    """`kernel<template><<<configuration>>>(arguments)`."""

    line: int
    kernel: str
    template: tuple[str, ...]
    configuration: tuple[Node, ...]
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Unknown:
    """Syntax outside of what is read; it matters only where it is reached."""

    line: int
    what: str


Node: TypeAlias = (
    Literal | Name | Member | Call | Index | Unary | Binary | Choice | Cast | SizeOf | Items | Assignment
    | Lambda | KernelLaunch | Unknown
)  # fmt: skip


@dataclass(frozen=True)
class Declaration:
    """`type name = value;`, one name; `value` is None for one that is only declared."""

    line: int
    type: str
    name: str
    value: Node | None


@dataclass(frozen=True)
class Alias:
    """`using name = type;`."""

    line: int
    name: str
    type: str


@dataclass(frozen=True)
class Evaluation:
    """An expression as a statement."""

    line: int
    node: Node


@dataclass(frozen=True)
class Block:
    """Statements between braces."""

    line: int
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class If:
    """A condition and its two branches."""

    line: int
    condition: Node
    yes: tuple[Statement, ...]
    no: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Loop:
    """`while`, or `for` with what comes before it and after each turn."""

    line: int
    before: tuple[Statement, ...]
    condition: Node
    body: tuple[Statement, ...]
    after: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class ForEach:
    """`for (auto name : values)`."""

    line: int
    name: str
    values: Node
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Return:
    """`return value;`."""

    line: int
    value: Node | None


Statement: TypeAlias = Declaration | Alias | Evaluation | Block | If | Loop | ForEach | Return


@dataclass(frozen=True)
class Parameter:
    """One parameter of a host function."""

    type: str
    name: str
    default: Node | None = None


@dataclass(frozen=True)
class Function:
    """A host function."""

    line: int
    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    template: tuple[str, ...] = field(default=())
    """Names of its template parameters."""
