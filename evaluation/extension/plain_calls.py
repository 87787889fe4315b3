"""Functions of numbers and lists that C++ and Python have, followed with sizes as symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.answer.expression_parser import C_TYPES
from evaluation.expressions import Number, Operation
from evaluation.extension.nodes import Call
from evaluation.extension.symbolic import Num, arithmetic, as_float, as_int, num, operation, product
from evaluation.extension.values import (
    Dtype,
    HostValue,
    Many,
    Namespace,
    Tensor,
    Text,
    dim3,
)

if TYPE_CHECKING:
    from evaluation.extension.interpreter import Frame, Interpreter

_LISTS = frozenset(
    [
        "vector",
        "make_tuple",
        "tuple",
        "make_pair",
        "pair",
        "array",
        "IntArrayRef",
        "list",
        "Size",
        "initializer_list",
        "ArrayRef",
    ]
)
_FLOATS = frozenset(["float", "double", "half", "__float2half"])


def plain_call(interpreter: Interpreter, base: str, node: Call, frame: Frame) -> HostValue | None:
    """Functions of numbers and lists."""
    type = interpreter.type_name(base, frame)
    if base == "isinstance" and len(node.arguments) == 2:
        return num(_is_instance(*(interpreter.evaluate(one, frame) for one in node.arguments)))
    arguments = [interpreter.evaluate(one, frame) for one in node.arguments]
    if base == "dedent" and len(arguments) == 1:
        return arguments[0]
    if base == "str" and len(arguments) == 1:
        only = arguments[0]
        return Text(str(only.constant)) if isinstance(only, Num) and only.constant is not None else only
    if type == "dim3":
        return dim3(Many(tuple(arguments)))
    if type in _LISTS:
        flat = (
            arguments[0] if len(arguments) == 1 and isinstance(arguments[0], Many) else Many(tuple(arguments))
        )
        return _repeated(flat, node) if type == "vector" and node.arguments else flat
    if base == "prod" and len(arguments) == 1 and isinstance(arguments[0], Many):
        numbers = [item for item in arguments[0].items if isinstance(item, Num)]
        return Num(product(tuple(item.expression for item in numbers)))
    if base == "len" and arguments and isinstance(arguments[0], Many):
        return num(len(arguments[0].items))
    if base in ("min", "max") and len(arguments) == 1 and isinstance(arguments[0], Many):
        arguments = list(arguments[0].items)
    numbers = [value for value in arguments if isinstance(value, Num)]
    if len(numbers) == len(arguments) and numbers:
        return _numeric(base, type, numbers)
    return None


def _is_instance(value: HostValue, types: HostValue) -> bool:
    """Whether a value of Python is of one of these types, where it is one of the usual ones."""
    if isinstance(types, Many):
        return any(_is_instance(value, one) for one in types.items)
    name = types.name.split(".")[-1] if isinstance(types, Namespace | Dtype) else ""
    match value:
        case Num():
            return name == ("float32" if value.is_float else "int32")
        case Many():
            return name in ("tuple", "list", "Size")
        case Tensor():
            return name in ("Tensor", "Parameter")
    return name == "str" and isinstance(value, Text)


def _repeated(flat: Many, node: Call) -> Many:
    """`std::vector<T>(count, value)`; a list in braces is itself."""
    if len(node.arguments) == 2 and len(flat.items) == 2 and isinstance(flat.items[0], Num):
        count = flat.items[0].constant
        if isinstance(count, int) and 0 <= count <= 64:
            return Many((flat.items[1],) * count)
    return flat


def _numeric(base: str, type: str, numbers: list[Num]) -> Num | None:
    first = numbers[0]
    if base in ("min", "max") and len(numbers) > 1:
        is_float = any(value.is_float for value in numbers)
        expressions = tuple((as_float(value) if is_float else value).expression for value in numbers)
        return Num(operation(base, *expressions), is_float)
    if base in ("sqrt", "sqrtf", "rsqrt", "rsqrtf", "rsqrt_") and len(numbers) == 1:
        return Num(operation(base.rstrip("f_"), as_float(first).expression), True)
    if base in ("ceil_div", "ATenCeilDiv", "CeilDiv", "cdiv") and len(numbers) == 2:
        return Num(operation("ceil_div", first.expression, numbers[1].expression))
    if base in ("ceil", "ceilf", "floor", "floorf") and len(numbers) == 1:
        return _rounded(first, up=base.startswith("ceil"))
    if base in ("pow", "powf") and len(numbers) == 2 and numbers[1].constant == 2:
        return arithmetic("*", first, first)
    if base in ("abs", "fabs") and len(numbers) == 1 and first.constant is not None:
        return num(abs(first.constant))
    if len(numbers) == 1 and (type in C_TYPES or base in ("int", "float", "bool")):
        return as_float(first) if type in _FLOATS else as_int(first)
    return None


def _rounded(value: Num, *, up: bool) -> Num | None:
    """`ceil(a / float(b))`, which is a division of integers."""
    if not value.is_float:
        return value
    match value.expression:
        case Operation("/", (one, other)):
            left, right = _whole(one), _whole(other)
            if left is not None and right is not None:
                return as_float(Num(operation("ceil_div" if up else "/", left, right)))
    return None


def _whole(expression: object) -> Number | Operation | None:
    """The integer of which an expression is the float."""
    match expression:
        case Operation("float", (operand,)):
            return operand  # type: ignore[return-value]  # what is made a float is no tensor
        case Number(value) if value == int(value):
            return Number(int(value))
    return None
