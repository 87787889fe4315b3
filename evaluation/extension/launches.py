"""Follows kernel launches: grid, block, shared memory, template arguments and arguments as they would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.answer.expression_parser import C_TYPES
from evaluation.expressions import Expression, Number
from evaluation.extension.cpp_parser import Parser
from evaluation.extension.nodes import (
    KernelLaunch,
    Node,
)
from evaluation.extension.outcome import not_understood
from evaluation.extension.symbolic import (
    Num,
    as_int,
    num,
)
from evaluation.extension.tokens import tokens_of
from evaluation.extension.values import (
    HostValue,
    LaunchStep,
    Many,
    Nothing,
    Pointer,
    Storage,
    described,
    dim3,
)

if TYPE_CHECKING:
    from evaluation.extension.interpreter import Frame, Interpreter


def follow(interpreter: Interpreter, node: KernelLaunch, frame: Frame) -> HostValue:
    """Note what a launch does."""
    if not 2 <= len(node.configuration) <= 4:
        raise not_understood("a launch without grid and block", node.line)
    grid, block, *more = (interpreter.evaluate(one, frame) for one in node.configuration)
    shared = more[0] if more else num(0)
    if not isinstance(shared, Num):
        raise not_understood("shared memory that is no number", node.line)
    template = tuple(_template_argument(interpreter, one, frame, node.line) for one in node.template)
    arguments = tuple(_argument(interpreter, one, frame) for one in node.arguments)
    kernel = node.kernel.split("::")[-1]
    step = LaunchStep(
        kernel,
        template,
        _extents(grid, node.line),
        _extents(block, node.line),
        as_int(shared).expression,
        arguments,
        interpreter.guard.expression,
    )
    if interpreter.guard.constant != 0:
        interpreter.steps.append(step)
    return Nothing()


def _template_argument(interpreter: Interpreter, text: str, frame: Frame, line: int) -> str:
    name = interpreter.type_name(text, frame)
    if name in C_TYPES or name in ("true", "false"):
        return name
    value = interpreter.evaluate(Parser(tokens_of(text, line)).expression(), frame)
    if isinstance(value, Num) and isinstance(value.constant, int):
        return str(value.constant)
    raise not_understood(f"the template argument {text:.40}", line)


def _argument(interpreter: Interpreter, node: Node, frame: Frame) -> Expression | Storage:
    value = interpreter.evaluate(node, frame)
    match value:
        case Num(expression):
            return expression
        case Pointer(storage):
            return storage
        case Nothing():
            raise not_understood("a null pointer as an argument of a kernel", node.line)
    raise not_understood(f"{described(value)} as an argument of a kernel", node.line)


def _extents(value: HostValue, line: int) -> tuple[Expression, ...]:
    items = dim3(value).items
    found = [as_int(item).expression for item in items if isinstance(item, Num)]
    if len(found) != 3 or not isinstance(value, Many | Num):
        raise not_understood("a grid or block that is no number", line)
    while len(found) > 1 and found[-1] == Number(1):
        found.pop()
    return tuple(found)
