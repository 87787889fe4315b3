"""Reads the Python around a kernel into the syntax of C++ host code, so that one interpreter follows both.

Nothing is run or imported. What has no counterpart becomes an `Unknown`, which only matters if it is reached.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from evaluation.extension.nodes import (
    Assignment,
    Binary,
    Block,
    Call,
    Choice,
    Evaluation,
    Function,
    If,
    Index,
    Items,
    Literal,
    Member,
    Name,
    Node,
    Parameter,
    Return,
    Statement,
    Unary,
    Unknown,
)
from evaluation.extension.outcome import not_understood

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "true/", ast.FloorDiv: "/", ast.Mod: "%",
    ast.Pow: "**", ast.LShift: "<<",
    ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.MatMult: "@",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "==",
    ast.IsNot: "!=", ast.And: "&&", ast.Or: "||", ast.Not: "!", ast.USub: "-", ast.UAdd: "+", ast.Invert: "~",
}  # fmt: skip
_MAX_DEPTH = 60


@dataclass
class Module:
    """What a Python file says at its top level."""

    imports: dict[str, str] = field(default_factory=dict)
    """Full names by the names that they have here."""
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, dict[str, Function]] = field(default_factory=dict)
    """Methods of each class, in order."""
    assignments: list[Statement] = field(default_factory=list)


def parsed(text: str) -> ast.Module | None:
    """The syntax tree, or None for what is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a kernel's backslashes in a plain string
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def read_module(tree: ast.Module) -> Module:
    """The parts of a Python file."""
    module = Module()
    for statement in _flat(tree.body):
        match statement:
            case ast.Import(names=names):
                for one in names:
                    full = one.name if one.asname else one.name.partition(".")[0]
                    module.imports[one.asname or full] = full
            case ast.ImportFrom(module=str(origin), names=names):
                for one in names:
                    module.imports[one.asname or one.name] = f"{origin}.{one.name}"
            case ast.FunctionDef(name=name):
                module.functions[name] = function(statement)
            case ast.ClassDef(name=name, body=body, bases=bases):
                own = {one.name: function(one) for one in body if isinstance(one, ast.FunctionDef)}
                for base in bases:
                    own = module.classes.get(base.id, {}) | own if isinstance(base, ast.Name) else own
                module.classes[name] = own
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                module.assignments += _statement(statement)
    return module


def _flat(statements: Sequence[ast.stmt], depth: int = 0) -> Iterator[ast.stmt]:
    """Statements of a file, those that it tries or guards too; what runs a script is left out."""
    for statement in statements:
        if isinstance(statement, ast.Try | ast.With) and depth < _MAX_DEPTH:
            yield from _flat(statement.body, depth + 1)
        elif isinstance(statement, ast.If) and depth < _MAX_DEPTH:
            if "__name__" not in ast.dump(statement.test):
                yield from _flat(statement.body, depth + 1)
        else:
            yield statement


def function(definition: ast.FunctionDef) -> Function:
    """A function or method."""
    arguments = definition.args
    names = [*arguments.posonlyargs, *arguments.args]
    defaults: list[Node | None] = [None] * (len(names) - len(arguments.defaults))
    defaults += [_node(one) for one in arguments.defaults]
    found = [Parameter("auto", one.arg, default) for one, default in zip(names, defaults, strict=True)]
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(Parameter("auto", one.arg, None if default is None else _node(default)))
    return Function(definition.lineno, definition.name, tuple(found), _body(definition.body))


def _body(statements: Sequence[ast.stmt], depth: int = 0) -> tuple[Statement, ...]:
    if depth > _MAX_DEPTH:
        raise not_understood("Python nested too deep", statements[0].lineno)
    return tuple(part for one in statements for part in _statement(one, depth))


def _statement(statement: ast.stmt, depth: int = 0) -> list[Statement]:
    line = statement.lineno
    match statement:
        case ast.Assign(targets=targets, value=value):
            return [_assign(line, target, "", value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return [_assign(line, target, "", value)]
        case ast.AugAssign(target=target, op=op, value=value):
            return [_assign(line, target, _OPERATORS.get(type(op), "@"), value)]
        case ast.Expr(value=ast.Constant()):
            return []
        case ast.Expr(value=value):
            return [Evaluation(line, _node(value))]
        case ast.Return(value=value):
            return [Return(line, None if value is None else _node(value))]
        case ast.If(test=test, body=body, orelse=other):
            return [If(line, _node(test), _body(body, depth + 1), _body(other, depth + 1))]
        case ast.With(body=body):
            return [Block(line, _body(body, depth + 1))]
        case ast.Try(body=body):
            return [Block(line, _body(body, depth + 1))]
        case (
            ast.Global()
            | ast.Nonlocal()
            | ast.Assert()
            | ast.Raise()
            | ast.Pass()
            | ast.AnnAssign()
            | ast.Import()
            | ast.ImportFrom()
        ):
            return []
    return [Evaluation(line, Unknown(line, f"Python's statement {type(statement).__name__.lower()}"))]


def _assign(line: int, target: ast.expr, operator: str, value: ast.expr) -> Statement:
    return Evaluation(line, Assignment(line, _node(target), operator, _node(value)))


def _node(node: ast.expr, depth: int = 0) -> Node:
    """An expression."""
    line = node.lineno
    if depth > _MAX_DEPTH:
        return Unknown(line, "Python nested too deep")

    def inner(one: ast.expr) -> Node:
        return _node(one, depth + 1)

    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            if isinstance(value, int) and value.bit_length() > 63:
                return Unknown(line, "an integer of more than 64 bits")
            return Literal(line, value)
        case ast.Name(id=name):
            return Name(line, name)
        case ast.Attribute(value=value, attr=name):
            return Member(line, inner(value), name)
        case ast.Call(func=called, args=arguments, keywords=keywords):
            named = tuple((one.arg, inner(one.value)) for one in keywords if one.arg is not None)
            return Call(line, inner(called), tuple(inner(one) for one in arguments), named)
        case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper, step=None)):
            ends = (Literal(line, None) if end is None else inner(end) for end in (lower, upper))
            return Index(line, inner(value), Items(line, tuple(ends)))
        case ast.Subscript(value=value, slice=index):
            return Index(line, inner(value), inner(index))
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return Items(line, tuple(inner(one) for one in items))
        case ast.UnaryOp(op=op, operand=operand):
            return Unary(line, _OPERATORS[type(op)], inner(operand))
        case ast.BinOp(left=left, op=op, right=right):
            return Binary(line, _OPERATORS[type(op)], inner(left), inner(right))
        case ast.BoolOp(op=op, values=[first, *rest]):
            result = inner(first)
            for one in rest:
                result = Binary(line, _OPERATORS[type(op)], result, inner(one))
            return result
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return Binary(line, _OPERATORS[type(op)], inner(left), inner(right))
        case ast.IfExp(test=test, body=yes, orelse=no):
            return Choice(line, inner(test), inner(yes), inner(no))
        case ast.JoinedStr(values=parts):
            return _joined(line, [inner(one) for one in parts])
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return Call(line, Name(line, "str"), (inner(value),))
    return Unknown(line, f"Python's {type(node).__name__.lower()}")


def _joined(line: int, parts: list[Node]) -> Node:
    """An f-string as the sum of its parts."""
    result: Node = Literal(line, "")
    for part in parts:
        result = Binary(line, "+", result, part)
    return result
