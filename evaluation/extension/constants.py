"""The numbers that a program gives its model, as host code can use them: the same at every choice of sizes.

A program is rewritten for every choice, so an argument of its model may change with the sizes. Where it does,
it must be the extent of a tensor or a named size.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from evaluation.expressions import Dimension, Number, Size
from evaluation.extension.outcome import not_understood
from evaluation.extension.symbolic import Num, num
from evaluation.extension.values import Broken, HostValue, Many, Nothing, Text
from evaluation.problem import Instance
from evaluation.reference.syntax import ProgramError, assignments, constant_int, module_constants, parse

Plain: TypeAlias = int | float | bool | str | tuple["Plain", ...] | None
_UNKNOWN = "\0unknown"


def init_inputs(instances: Sequence[Instance]) -> list[HostValue]:
    """What `get_init_inputs` gives, item by item."""
    found = [_items(instance.program, "get_init_inputs") for instance in instances]
    length = min(map(len, found), default=0)
    return [_common([items[at] for items in found], instances) for at in range(length)]


def numbers(instances: Sequence[Instance]) -> dict[str, HostValue]:
    """Numbers of the program by name: the arguments of its model, and its constants."""
    named: dict[str, HostValue] = {
        name: _common([instance.sizes.get(name, _UNKNOWN) for instance in instances], instances)
        for name in instances[0].sizes
    }
    names = _init_names(instances[0].program)
    return named | dict(zip(names, init_inputs(instances), strict=False))


def input_values(instances: Sequence[Instance]) -> list[HostValue]:
    """What `get_inputs` gives where it gives plain numbers; a tensor is Nothing here."""
    found = [_items(instance.program, "get_inputs") for instance in instances]
    length = min(map(len, found), default=0)
    columns = [[items[at] for items in found] for at in range(length)]
    return [Nothing() if _UNKNOWN in column else _common(column, instances) for column in columns]


def argument_names(program: str) -> list[str]:
    """Names of the arguments that the program's function takes."""
    for node in ast.walk(_tree(program)):
        if isinstance(node, ast.FunctionDef) and node.name in ("forward", "fused_operator"):
            return [one.arg for one in node.args.args if one.arg != "self"]
    return []


def _init_names(program: str) -> list[str]:
    for node in ast.walk(_tree(program)):
        if isinstance(node, ast.ClassDef) and node.name == "Model":
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    return [one.arg for one in method.args.args if one.arg != "self"]
    return []


@lru_cache(maxsize=64)
def _tree(program: str) -> ast.Module:
    try:
        return parse(program)
    except ProgramError:
        return ast.Module([], [])


def _items(program: str, name: str) -> list[Plain]:
    """The items of the list that a function of the program returns."""
    tree = _tree(program)
    values: dict[str, Plain] = dict(module_constants(tree))
    for target, value in assignments(tree.body):
        values.setdefault(target, _plain(value, values))
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name == name:
            for target, value in assignments(function.body):
                values[target] = _plain(value, values)
            for statement in function.body:
                if isinstance(statement, ast.Return) and statement.value is not None:
                    found = _plain(statement.value, values)
                    return list(found) if isinstance(found, tuple) else []
    return []


def _plain(node: ast.expr, values: dict[str, Plain]) -> Plain:
    """A constant of the program, or _UNKNOWN."""
    integers = {name: value for name, value in values.items() if type(value) is int}
    integer = constant_int(node, integers)
    if integer is not None:
        return integer
    match node:
        case ast.Constant(value=bool() | float() | str() | None as value):
            return value
        case ast.Name(id=name):
            return values.get(name, _UNKNOWN)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=float() as value)):
            return -value
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_plain(item, values) for item in items)
    return _UNKNOWN


def _common(column: Sequence[Plain], instances: Sequence[Instance]) -> HostValue:
    """One value that is right at all sizes."""
    first = column[0]
    if all(value == first and type(value) is type(first) for value in column):
        return _constant(first)
    if all(
        isinstance(value, tuple) and len(value) == len(first) for value in column if isinstance(first, tuple)
    ):
        rows = [value for value in column if isinstance(value, tuple)]
        if len(rows) == len(column):
            return Many(tuple(_common(list(items), instances) for items in zip(*rows, strict=True)))
    for tensor in (*instances[0].inputs, *instances[0].parameters):
        for axis in range(len(tensor.shape)):
            if [_extent(instance, tensor.name, axis) for instance in instances] == list(column):
                return Num(Dimension(tensor.name, Number(axis)))
    for name in instances[0].sizes:
        if [instance.sizes.get(name) for instance in instances] == list(column):
            return Num(Size(name))
    return Broken(not_understood("an argument of the model that is no size"))


def _extent(instance: Instance, name: str, axis: int) -> int | None:
    for tensor in (*instance.inputs, *instance.parameters):
        if tensor.name == name and axis < len(tensor.shape):
            return tensor.shape[axis]
    return None


def _constant(value: Plain) -> HostValue:
    if value == _UNKNOWN:
        return Broken(not_understood("an argument of the model that is no constant"))
    if isinstance(value, tuple):
        return Many(tuple(_constant(item) for item in value))
    if isinstance(value, str):
        return Text(value)
    return Nothing() if value is None else num(value)
