"""Follows host code with sizes as symbols: what it allocates, fills and launches, in order.

Nothing is run. A value is a number as an expression of the launch grammar, or a tensor by its shape; whatever
a branch decides by sizes becomes arithmetic, and what it launches gets a guard. Statements that only look for
errors (checks, streams, synchronisation) are passed over. All else ends in a NotTakenError.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from evaluation.answer.expression_parser import C_TYPES
from evaluation.expressions import Expression, Number
from evaluation.extension import launches, members
from evaluation.extension.cpp_parser import Parser
from evaluation.extension.nodes import (
    Alias,
    Assignment,
    Binary,
    Block,
    Call,
    Cast,
    Choice,
    Declaration,
    Evaluation,
    ForEach,
    Function,
    If,
    Index,
    Items,
    KernelLaunch,
    Lambda,
    Literal,
    Loop,
    Member,
    Name,
    Node,
    Return,
    SizeOf,
    Statement,
    Unary,
    Unknown,
)
from evaluation.extension.outcome import NotTakenError, Reason, library, not_understood
from evaluation.extension.symbolic import (
    Num,
    arithmetic,
    as_float,
    as_int,
    negated,
    num,
    operation,
    select,
    total,
    truth,
)
from evaluation.extension.tokens import tokens_of
from evaluation.extension.units import HostFunction, Macro, Unit
from evaluation.extension.values import (
    DTYPES,
    Broken,
    Closure,
    Dtype,
    HostValue,
    Layer,
    Many,
    Method,
    Namespace,
    Nothing,
    Opaque,
    Pointer,
    PythonClass,
    Self,
    Step,
    Storage,
    Tensor,
    Text,
    cpp_type,
    described,
    dim3,
)

_MAX_WORK = 20_000
"""Nodes of syntax that are followed in one answer."""
_MAX_CALLS = 24
"""Calls within each other."""
_MAX_TURNS = 64
"""Turns of one loop."""
_FLOATS = ("float", "double", "half", "Half", "bfloat16", "BFloat16")


@dataclass
class Frame:
    """The names that one function of the host sees."""

    unit: Unit | None
    names: dict[str, HostValue]
    types: dict[str, str] = field(default_factory=dict)
    """What `scalar_t` and template parameters stand for, and the types of variables without a value."""

    def copy(self) -> Frame:
        """The same names, to be changed apart."""
        return Frame(self.unit, dict(self.names), dict(self.types))


class Interpreter:
    """Follows one answer; `steps` holds what the host would do to the device."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.storages: list[Storage] = []
        self.parameters: dict[str, Tensor] = {}
        """The program's parameters by their names in launch lines."""
        self.units: list[Unit] = []
        """The C++ of the extensions that the answer's Python loads."""
        self.python: dict[str, HostValue] = {}
        """Names of the answer's Python module."""
        self.guard = num(True)
        self._work = 0
        self._calls = 0

    # --- statements

    def execute(self, statements: Sequence[Statement], frame: Frame) -> HostValue | None:
        """Follow statements; what they return, or None if they end without."""
        for at, statement in enumerate(statements):
            self._count(statement.line)
            if isinstance(statement, If):
                condition = self.condition(statement.condition, frame)
                if condition.constant is None:
                    return self._branch(condition, statement, statements[at + 1 :], frame)
                taken = statement.yes if condition.constant else statement.no
                returned = self.execute(taken, frame)
            else:
                returned = self._statement(statement, frame)
            if returned is not None:
                return returned
        return None

    def _statement(self, statement: Statement, frame: Frame) -> HostValue | None:
        match statement:
            case Evaluation(_, node):
                self.evaluate(node, frame)
            case Declaration():
                self._declare(statement, frame)
            case Alias(_, name, type):
                frame.types[name] = self.type_name(type, frame)
            case Block(_, body):
                return self.execute(body, frame)
            case Loop():
                return self._loop(statement, frame)
            case ForEach(line, name, values, body):
                many = self.evaluate(values, frame)
                if not isinstance(many, Many):
                    raise not_understood(f"a loop over {described(many)}", line)
                for item in many.items:
                    frame.names[name] = item
                    returned = self.execute(body, frame)
                    if returned is not None:
                        return returned
            case Return(_, value):
                return Nothing() if value is None else self.evaluate(value, frame)
        return None

    def _branch(
        self, condition: Num, statement: If, rest: Sequence[Statement], frame: Frame
    ) -> HostValue | None:
        """Follow both ways of a branch that sizes decide, each with its guard, and bring them together."""
        before = self.guard
        other = frame.copy()
        self.guard = arithmetic("&&", before, condition)
        first = self.execute(statement.yes, frame)
        self.guard = arithmetic("&&", before, negated(condition))
        second = self.execute(statement.no, other)
        if first is None and second is None:
            self.guard = before
            self._merge(condition, frame, other)
            return self.execute(rest, frame)
        if first is None:
            self.guard = arithmetic("&&", before, condition)
            first = self.execute(rest, frame)
        elif second is None:
            second = self.execute(rest, other)
        self.guard = before
        if first is None or second is None:
            return first or second
        return self._joined(condition, first, second, statement.line)

    def _merge(self, condition: Num, frame: Frame, other: Frame) -> None:
        for name, value in list(frame.names.items()):
            if name in other.names and other.names[name] != value:
                frame.names[name] = self._joined(condition, value, other.names[name], 0)

    def _joined(self, condition: Num, yes: HostValue, no: HostValue, line: int) -> HostValue:
        """One of two values, as the condition says."""
        if yes == no:
            return yes
        if isinstance(yes, Num) and isinstance(no, Num):
            return select(condition, yes, no)
        if isinstance(yes, Many) and isinstance(no, Many) and len(yes.items) == len(no.items):
            pairs = zip(yes.items, no.items, strict=True)
            return Many(tuple(self._joined(condition, one, another, line) for one, another in pairs))
        raise not_understood("a branch by sizes that chooses between tensors", line)

    def _loop(self, loop: Loop, frame: Frame) -> HostValue | None:
        self.execute(loop.before, frame)
        for _ in range(_MAX_TURNS):
            condition = self.condition(loop.condition, frame)
            if condition.constant is None:
                self._geometric(loop, frame)
                return None
            if not condition.constant:
                return None
            returned = self.execute(loop.body, frame)
            if returned is not None:
                return returned
            self.execute(loop.after, frame)
        raise not_understood(f"a loop of more than {_MAX_TURNS} turns", loop.line)

    def _geometric(self, loop: Loop, frame: Frame) -> None:
        """`while (threads < cols) threads *= 2;` from a constant: the sum of the steps that are taken.

        The condition must not hold again once it does not; whether it does so, the judge will find.
        """
        steps = [part for part in (*loop.body, *loop.after)]
        names = {name for part in steps if (name := _changed(part))}
        name = names.pop() if len(names) == 1 and all(_changed(part) for part in steps) else ""
        value = frame.names.get(name)
        if not isinstance(value, Num) or value.constant is None:
            raise not_understood("a loop whose turns depend on sizes", loop.line)
        terms: list[Expression] = [value.expression]
        for _ in range(32):
            condition = self.condition(loop.condition, frame)
            if condition.constant == 0:
                break
            before = frame.names[name]
            self.execute(steps, frame)
            after = frame.names[name]
            if not (isinstance(before, Num) and isinstance(after, Num) and after.constant is not None):
                raise not_understood("a loop whose turns depend on sizes", loop.line)
            step = operation("-", after.expression, before.expression)
            terms.append(operation("*", step, condition.expression))
            if after == before or abs(after.constant) > 2**20:
                break
        frame.names[name] = Num(total(terms))

    def _declare(self, statement: Declaration, frame: Frame) -> None:
        frame.types[f"{statement.name} "] = statement.type
        if statement.value is None:
            frame.names[statement.name] = self.converted(statement.type, Nothing(), frame)
            return
        value = self.evaluate(statement.value, frame)
        frame.names[statement.name] = self.converted(statement.type, value, frame)

    def converted(self, type: str, value: HostValue, frame: Frame) -> HostValue:
        """A value as a variable of a type holds it."""
        base = re.sub(r"\b(?:const|static|constexpr|inline)\b|&", "", type).strip()
        base = frame.types.get(base, base)
        if base.split("::")[-1] == "dim3":
            return dim3(value)
        if "vector" in base and isinstance(value, Nothing):
            return Many(())
        is_single = base in C_TYPES or base in ("torch::Tensor", "at::Tensor")
        if is_single and isinstance(value, Many) and len(value.items) == 1:
            value = value.items[0]
        if isinstance(value, Num) and base in C_TYPES:
            return as_float(value) if base in _FLOATS else as_int(value)
        return value

    # --- expressions

    def number(self, node: Node, frame: Frame) -> Num:
        """An expression that must be a number."""
        value = self.evaluate(node, frame)
        if isinstance(value, Num):
            return value
        raise not_understood(f"{described(value)} where a number belongs", node.line)

    def condition(self, node: Node, frame: Frame) -> Num:
        """A condition, 0 or 1."""
        value = self.evaluate(node, frame)
        match value:
            case Num():
                return truth(value)
            case Nothing() | Opaque():
                return num(not isinstance(value, Nothing))
            case Many(items):
                return num(bool(items))
            case Tensor():
                raise NotTakenError(
                    Reason.DATA_DEPENDENT, "the host decides by what a tensor holds", node.line
                )
            case Text(text):
                return num(bool(text))
        return num(True)

    def evaluate(self, node: Node, frame: Frame) -> HostValue:
        """What an expression gives."""
        self._count(node.line)
        match node:
            case Literal(line, value):
                return (
                    Text(value, line)
                    if isinstance(value, str)
                    else Nothing()
                    if value is None
                    else num(value)
                )
            case Name():
                return self._named(node, frame)
            case Member(line, object, name):
                return members.member(self, self.evaluate(object, frame), name, line)
            case Call():
                return self._call(node, frame)
            case Index(line, object, index):
                return self._indexed(self.evaluate(object, frame), self.evaluate(index, frame), line)
            case Unary():
                return self._unary(node, frame)
            case Binary():
                return self._binary(node, frame)
            case Choice(line, condition, yes, no):
                chosen = self.condition(condition, frame)
                if chosen.constant is not None:
                    return self.evaluate(yes if chosen.constant else no, frame)
                return self._joined(chosen, self.evaluate(yes, frame), self.evaluate(no, frame), line)
            case Cast(_, type, operand):
                return self._cast(type, self.evaluate(operand, frame), frame)
            case SizeOf(line, type):
                name = self.type_name(type, frame)
                if name not in C_TYPES and not name.endswith("*"):
                    raise not_understood(f"sizeof({name})", line)
                return num(8 if name.endswith("*") else C_TYPES[name])
            case Items(_, items):
                return Many(tuple(self.evaluate(item, frame) for item in items))
            case Assignment():
                return self._assign(node, frame)
            case Lambda():
                return Closure(node)
            case KernelLaunch():
                return launches.follow(self, node, frame)
            case Unknown(line, what):
                raise not_understood(what, line)

    def _named(self, node: Name, frame: Frame) -> HostValue:
        value = self._meaning(node, frame)
        if isinstance(value, Broken):
            raise value.error
        return value

    def _meaning(self, node: Name, frame: Frame) -> HostValue:
        if node.text in frame.names:
            return frame.names[node.text]
        if frame.unit is not None and node.text in frame.unit.macros:
            return self._macro(frame.unit.macros[node.text], (), frame)
        if frame.unit is not None and node.text not in frame.unit.functions:
            for constant in frame.unit.globals:
                if isinstance(constant, Declaration) and constant.name == node.text and constant.value:
                    return self.converted(constant.type, self.evaluate(constant.value, frame), frame)
        if frame.unit is None and node.text in self.python:
            return self.python[node.text]
        return members.named(node.text, node.line, frame.unit is not None)

    def _unary(self, node: Unary, frame: Frame) -> HostValue:
        value = self.evaluate(node.operand, frame)
        if isinstance(value, Num):
            if node.operator == "!":
                return negated(value)
            if node.operator == "~":
                return Num(operation("^", value.expression, Number(-1)))
            if node.operator == "-":
                return num(-value.constant) if value.constant is not None else arithmetic("-", num(0), value)
        if node.operator == "!":
            return negated(self.condition(node.operand, frame))
        if node.operator in ("&", "*", "+"):
            return value
        raise library(f"{node.operator} of {described(value)}", node.line)

    def _binary(self, node: Binary, frame: Frame) -> HostValue:
        operator = node.operator
        if operator in ("&&", "||"):
            left = self.condition(node.left, frame)
            if left.constant is not None and bool(left.constant) is (operator == "||"):
                return left
            return arithmetic(operator, left, self.condition(node.right, frame))
        one, other = self.evaluate(node.left, frame), self.evaluate(node.right, frame)
        if isinstance(one, Num) and isinstance(other, Num):
            if operator == "**":
                return _power(one, other, node.line)
            return arithmetic(operator.removeprefix("true"), one, other, true_division=operator == "true/")
        if operator in ("==", "!=") and not (isinstance(one, Tensor) and isinstance(other, Tensor)):
            return num((one == other) is (operator == "=="))
        if isinstance(one, Opaque) or isinstance(other, Opaque):
            return Opaque("")
        if isinstance(one, Many) and isinstance(other, Many) and operator == "+":
            return Many(one.items + other.items)
        if isinstance(one, Text) and isinstance(other, Text) and operator == "+":
            return Text(one.value + other.value, one.line)
        if isinstance(one, Tensor) or isinstance(other, Tensor):
            raise library(f"{operator.removeprefix('true')} of tensors", node.line)
        if isinstance(one, Pointer) or isinstance(other, Pointer):
            raise not_understood("arithmetic with a pointer on the host", node.line)
        raise not_understood(f"{operator} of {described(one)} and {described(other)}", node.line)

    def _indexed(self, value: HostValue, index: HostValue, line: int) -> HostValue:
        if isinstance(value, Many) and isinstance(index, Num) and isinstance(index.constant, int):
            if -len(value.items) <= index.constant < len(value.items):
                return value.items[index.constant]
            raise not_understood(f"an index ({index.constant}) out of range", line)
        if isinstance(value, Many) and isinstance(index, Many) and len(index.items) == 2:
            begin, end = (one.constant if isinstance(one, Num) else None for one in index.items)
            if not isinstance(begin, float) and not isinstance(end, float):
                return Many(value.items[begin:end])
        if isinstance(value, Tensor):
            raise library("indexing of a tensor", line)
        raise not_understood(f"an index into {described(value)}", line)

    def _cast(self, type: str, value: HostValue, frame: Frame) -> HostValue:
        name = self.type_name(type, frame)
        if isinstance(value, Num) and not name.endswith("*"):
            return (
                as_float(value)
                if name in _FLOATS or DTYPES.get(name, "").startswith("float")
                else as_int(value)
            )
        return value

    def type_name(self, type: str, frame: Frame) -> str:
        """A type's name without its qualifiers, for what it stands for here."""
        name = re.sub(r"\b(?:const|typename|constexpr)\b", "", type).strip()
        stars = "*" * name.count("*")
        name = name.replace("*", "").strip()
        name = frame.types.get(name, name)
        if name.split("::")[-1] in ("Half", "BFloat16"):
            name = cpp_type(DTYPES[name.split("::")[-1]])
        return name.removeprefix("std::") + stars

    # --- names that change

    def _assign(self, node: Assignment, frame: Frame) -> HostValue:
        value = self.evaluate(node.value, frame)
        if node.operator:
            before = self.evaluate(node.target, frame)
            if not isinstance(before, Num) or not isinstance(value, Num):
                if isinstance(before, Tensor):
                    raise library(f"{node.operator}= of tensors", node.line)
                raise not_understood(f"{node.operator}= of {described(before)}", node.line)
            value = arithmetic(node.operator, before, value)
        self.bind(node.target, value, frame)
        return value

    def bind(self, target: Node, value: HostValue, frame: Frame) -> None:
        """Give a name, an attribute of the model or a tuple of names its value."""
        match target:
            case Name(_, name):
                type = frame.types.get(f"{name} ", "auto")
                frame.names[name] = self.converted(type, value, frame)
            case Items(line, items) | Call(line, Name(_, "std::tie" | "tie"), items):
                if not isinstance(value, Many) or len(value.items) != len(items):
                    raise not_understood(f"{described(value)} taken apart into {len(items)}", line)
                for item, part in zip(items, value.items, strict=True):
                    self.bind(item, part, frame)
            case Member(_, Name(_, "self"), name) if isinstance(own := frame.names.get("self"), Self):
                own.attributes[name] = members.attribute(self, name, value, target.line)
            case Member(line, object, "x" | "y" | "z" as axis):
                self._put(object, Literal(line, "xyz".index(axis)), value, frame)
            case Index(_, object, index):
                self._put(object, index, value, frame)
            case Member(line, object, _) if isinstance(self.evaluate(object, frame), Opaque):
                pass  # what a context is told, nobody asks for
            case _:
                raise not_understood("an assignment to what is no variable", target.line)

    def _put(self, object: Node, index: Node, value: HostValue, frame: Frame) -> None:
        """Change one item of a list."""
        whole, place = self.evaluate(object, frame), self.number(index, frame).constant
        if (
            not isinstance(whole, Many)
            or not isinstance(place, int)
            or not -len(whole.items) <= place < len(whole.items)
        ):
            raise not_understood("an assignment to an item", object.line)
        items = list(whole.items)
        items[place] = value
        self.bind(object, Many(tuple(items)), frame)

    # --- calls

    def _call(self, node: Call, frame: Frame) -> HostValue:
        name = node.function.text if isinstance(node.function, Name) else ""
        unit = frame.unit
        if name in frame.names:
            return self.apply(frame.names[name], node, frame)
        if unit is not None:
            if name in unit.macros:
                return self._macro(unit.macros[name], node.arguments, frame)
            own = (
                unit.functions.get(name.split("::")[-1]) if not name.startswith(("torch::", "at::")) else None
            )
            if own:
                return self.apply_host(own, node, frame)
            if name.startswith("AT_DISPATCH"):
                return self._dispatch(node, frame)
        elif name in self.python:
            return self.apply(self.python[name], node, frame)
        if name:
            return members.call(self, name, node, frame)
        if isinstance(node.function, Member):  # in C++ a tensor's property and method may have one name
            object = self.evaluate(node.function.object, frame)
            if isinstance(object, Tensor):
                return members.method(self, object, node.function.name, node, frame)
            return self.apply(members.member(self, object, node.function.name, node.line), node, frame)
        return self.apply(self.evaluate(node.function, frame), node, frame)

    def apply(self, function: HostValue, node: Call, frame: Frame) -> HostValue:
        """Call a value."""
        match function:
            case Function():
                arguments, keywords = self.arguments(node, frame)
                return self.enter(function, arguments, keywords, None, node.line)
            case Closure(body):
                inner = frame.copy() if body.parameters else frame
                values = [self.evaluate(one, frame) for one in node.arguments]
                inner.names |= dict(zip(body.parameters, values, strict=False))
                return self.execute(body.body, inner) or Nothing()
            case Method(object, name):
                return members.method(self, object, name, node, frame)
            case Namespace(name):
                return members.call(self, name, node, frame)
            case PythonClass():
                raise not_understood(f"an object of the class {function.name}", node.line)
            case Opaque():
                return function
            case Layer():
                raise library(f"the layer {function.kind}", node.line)
        raise not_understood(f"a call of {described(function)}", node.line)

    def arguments(self, node: Call, frame: Frame) -> tuple[list[HostValue], dict[str, HostValue]]:
        """A call's arguments, worked out."""
        return (
            [self.evaluate(one, frame) for one in node.arguments],
            {name: self.evaluate(one, frame) for name, one in node.keywords},
        )

    def apply_host(self, functions: Sequence[HostFunction], node: Call, frame: Frame) -> HostValue:
        """Call a C++ function by a call in C++."""
        arguments, _ = self.arguments(node, frame)
        template = [self.type_name(one, frame) for one in node.template]
        return self.call_host(functions, arguments, frame.unit, node.line, template)

    def call_host(
        self,
        functions: Sequence[HostFunction],
        arguments: Sequence[HostValue],
        unit: Unit | None,
        line: int,
        template: Sequence[str] = (),
    ) -> HostValue:
        """Call that one of a C++ function's overloads which takes so many arguments."""
        fitting = [
            one
            for one in functions
            if len(one.parameters) >= len(arguments)
            and all(parameter.default is not None for parameter in one.parameters[len(arguments) :])
        ]
        if not fitting:
            raise not_understood(f"a call of {functions[0].name} with {len(arguments)} arguments", line)
        return self.enter(fitting[0].function, arguments, {}, unit, line, template)

    def enter(
        self,
        function: Function,
        arguments: Sequence[HostValue],
        keywords: dict[str, HostValue],
        unit: Unit | None,
        line: int,
        template: Sequence[str] = (),
    ) -> HostValue:
        """Follow a function with its parameters set."""
        self._calls += 1
        if self._calls > _MAX_CALLS:
            raise not_understood(f"more than {_MAX_CALLS} calls within each other", line)
        frame = Frame(unit, {})
        for name, text in zip(function.template, template, strict=False):
            frame.types[name] = text
            if re.fullmatch(r"\d{1,9}", text):
                frame.names[name] = num(int(text))
        for at, parameter in enumerate(function.parameters):
            if at < len(arguments):
                value = arguments[at]
            elif parameter.name in keywords:
                value = keywords[parameter.name]
            elif parameter.default is not None:
                value = self.evaluate(parameter.default, frame)
            else:
                raise not_understood(f"{function.name} is called without {parameter.name}", line)
            if function.template and isinstance(value, Pointer | Tensor):
                base = re.sub(r"\bconst\b|[*&]", "", parameter.type).strip()
                if base in function.template:
                    frame.types.setdefault(base, cpp_type(value.storage.dtype))
            frame.types[f"{parameter.name} "] = parameter.type
            frame.names[parameter.name] = self.converted(parameter.type, value, frame)
        result = self.execute(function.body, frame)
        self._calls -= 1
        return Nothing() if result is None else result

    def _macro(self, macro: Macro, arguments: Sequence[Node], frame: Frame) -> HostValue:
        """What a macro of the answer gives; checks give nothing."""
        unit = frame.unit
        words = re.findall(r"\w+", macro.body)
        if macro.is_check or (unit and any(unit.macros[one].is_check for one in words if one in unit.macros)):
            members.effects(self, arguments, frame)
            return Nothing()
        self._calls += 1
        if self._calls > _MAX_CALLS:
            raise not_understood("macros within each other", macro.line)
        inner = frame.copy()
        values = [self.evaluate(one, frame) for one in arguments]
        inner.names |= dict(zip(macro.parameters or (), values, strict=False))
        result = self.evaluate(_expression(macro.body, macro.line), inner)
        self._calls -= 1
        return result

    def _dispatch(self, node: Call, frame: Frame) -> HostValue:
        """`AT_DISPATCH_...(type, "name", [&] { ... })`: `scalar_t` is the tensor's own type."""
        values = [self.evaluate(one, frame) for one in node.arguments]
        types = [value for value in values if isinstance(value, Dtype)]
        bodies = [value for value in values if isinstance(value, Closure)]
        if not types or not bodies:
            raise not_understood("this form of AT_DISPATCH", node.line)
        before = frame.types.get("scalar_t")
        frame.types["scalar_t"] = cpp_type(types[-1].name)
        result = self.execute(bodies[-1].node.body, frame)
        if before is not None:
            frame.types["scalar_t"] = before
        return result or Nothing()

    # --- bookkeeping

    def allocate(self, shape: tuple[Expression, ...], dtype: str) -> Storage:
        """Memory that host code makes."""
        storage = Storage(f"buffer{len(self.storages)}", dtype, shape)
        self.storages.append(storage)
        return storage

    def _count(self, line: int) -> None:
        self._work += 1
        if self._work > _MAX_WORK:
            raise not_understood("host code that takes too many steps", line)


@lru_cache(maxsize=64)  # a macro may be used in a loop
def _expression(text: str, line: int) -> Node:
    return Parser(tokens_of(text, line)).expression()


def _changed(statement: Statement) -> str | None:
    """The variable that a statement changes, if it does no more."""
    match statement:
        case Evaluation(_, Assignment(_, Name(_, name), _, _)):
            return name
        case Block(_, (inner,)):
            return _changed(inner)
    return None


def _power(base: Num, exponent: Num, line: int) -> Num:
    if exponent.constant in (0.5, -0.5):
        return Num(
            operation("sqrt" if exponent.constant == 0.5 else "rsqrt", as_float(base).expression), True
        )
    if exponent.constant == 2:
        return arithmetic("*", base, base)
    raise not_understood("a power", line)
