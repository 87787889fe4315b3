"""Reading a reference program without running it: dialect, constants, operators, identity.

Programs come from outside and are never trusted: this module only parses them. What a program
computes is found out by `evaluation.reference.pool`, in a confined process.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from itertools import count

from evaluation.errors import WarpsmithError
from evaluation.problem import Dialect

MAX_PROGRAM_BYTES = 65536
"""Longest program text that is looked at."""
MAX_DEPTH = 150
"""Deepest nesting of a program; Python's own tools run out of stack at some 250."""
MAX_INTEGER_BITS = 1024
"""Longest integer literal: Python writes none of more than 4300 digits."""
LARGEST_CONSTANT = 2**63
"""Where folding of constants ends: no size is larger, and each fold could double the digits."""
MODEL_CLASS = "Model"
"""The class of dialect `model`."""
FUNCTION_NAME = "fused_operator"
"""The function of dialect `function`."""

_ARITHMETIC = {
    ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__,
    ast.FloorDiv: int.__floordiv__, ast.Mod: int.__mod__,
}  # fmt: skip
_SYMBOLS = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.MatMult: "matmul",
    ast.Pow: "pow", ast.FloorDiv: "floor_divide", ast.Mod: "remainder", ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or", ast.BitXor: "bitwise_xor",
}  # fmt: skip
#: What counts as an operator only in a program that has no others: numbers are compared and negated, too.
_WEAK_SYMBOLS = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
    ast.Invert: "bitwise_not", ast.USub: "neg",
}  # fmt: skip
DRAWING = ("get_inputs", "get_init_inputs")
"""Functions of a program that say what it is run on, not what it computes."""
#: Layers whose class is not simply their function's name in lower case.
_LAYERS = {
    "layernorm": "layer_norm", "rmsnorm": "rms_norm", "groupnorm": "group_norm", "leakyrelu": "leaky_relu",
    "batchnorm1d": "batch_norm", "batchnorm2d": "batch_norm", "batchnorm3d": "batch_norm", "t": "transpose",
    "instancenorm1d": "instance_norm", "instancenorm2d": "instance_norm", "instancenorm3d": "instance_norm",
    "maxpool1d": "max_pool1d", "maxpool2d": "max_pool2d", "maxpool3d": "max_pool3d",
    "avgpool1d": "avg_pool1d", "avgpool2d": "avg_pool2d", "avgpool3d": "avg_pool3d",
    "logsoftmax": "log_softmax",
    "convtranspose1d": "conv_transpose1d", "convtranspose2d": "conv_transpose2d",
    "convtranspose3d": "conv_transpose3d",
}  # fmt: skip
#: Calls in a function body that are not operators: they make, move, cast or describe tensors.
_NOT_OPERATORS = {
    "cuda", "cpu", "to", "float", "double", "half", "bfloat16", "int", "long", "bool", "type", "contiguous",
    "clone", "detach", "size", "dim", "numel", "item", "zeros", "ones", "full", "empty", "tensor", "arange",
    "view", "reshape", "flatten", "unsqueeze", "squeeze", "expand", "expand_as", "view_as", "sqrt_", "len",
    "range", "tuple", "list", "super", "__init__", "parameter", "no_grad", "isinstance", "append",
    "sequential", "modulelist", "randn", "rand", "register_buffer", "print", "dropout", "identity",
}  # fmt: skip


class ProgramError(WarpsmithError):
    """A reference program cannot be used; the message says why, and what a usable one has."""


def parse(program: str) -> ast.Module:
    """Parse `program`; raises `ProgramError` when it is no Python or is unreasonably large."""
    if not isinstance(program, str):
        raise ProgramError(f"the program is a {type(program).__name__}; it must be Python source text")
    if len(program.encode("utf-8", "replace")) > MAX_PROGRAM_BYTES:
        raise ProgramError(f"the program is longer than {MAX_PROGRAM_BYTES} bytes; shorten it")
    try:
        tree = ast.parse(program)
    except SyntaxError as error:
        raise ProgramError(f"the program is not valid Python (line {error.lineno}: {error.msg})") from None
    except (ValueError, RecursionError, MemoryError, UnicodeError) as error:
        raise ProgramError(f"the program cannot be parsed ({type(error).__name__}); simplify it") from None
    _require_readable(tree)
    return tree


def _require_readable(tree: ast.Module) -> None:
    """Refuse what Python parses and cannot write again: no later reader has to fear it."""
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ProgramError(f"the program is nested more than {MAX_DEPTH} deep; simplify it")
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise ProgramError(f"the program has an integer of more than {MAX_INTEGER_BITS} bits")
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]


def detect_dialect(program: str) -> Dialect:
    """Tell which of the two dialects `program` is written in, by the names that it defines."""
    return tree_dialect(parse(program))


def tree_dialect(tree: ast.Module) -> Dialect:
    """The same for a program that is parsed already."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    if "get_inputs" not in functions:
        raise ProgramError("the program defines no `get_inputs`; add the function that draws its inputs")
    if FUNCTION_NAME in functions:
        return Dialect.FUNCTION
    if MODEL_CLASS in classes:
        return Dialect.MODEL
    raise ProgramError(f"the program defines neither `{FUNCTION_NAME}` nor a class `{MODEL_CLASS}`; add one")


def constant_int(node: ast.expr | None, names: dict[str, int] | None = None) -> int | None:
    """Fold `node` to an integer, looking names up in `names`; `None` for what is none or too large."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return (names or {}).get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = constant_int(node.operand, names)
        return None if value is None else -value
    if isinstance(node, ast.BinOp):
        return _fold(node, names)
    return None


def _fold(node: ast.BinOp, names: dict[str, int] | None) -> int | None:
    left, right = constant_int(node.left, names), constant_int(node.right, names)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Pow | ast.LShift) and 0 <= right <= 64 and abs(left) <= 1024:
        value = left**right if isinstance(node.op, ast.Pow) else left << right
    else:
        operation = _ARITHMETIC.get(type(node.op))
        if operation is None or (right == 0 and isinstance(node.op, ast.FloorDiv | ast.Mod)):
            return None
        value = operation(left, right)
    return value if abs(value) < LARGEST_CONSTANT else None


def assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Each `name = value` of `body`, with `a, b = x, y` taken apart."""
    for statement in body:
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value
        ):
            yield statement.target.id, statement.value
        if not isinstance(statement, ast.Assign):
            continue
        for target in statement.targets:
            yield from _pairs(target, statement.value)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif (
        isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts)
    ):
        for name, part in zip(target.elts, value.elts, strict=True):
            yield from _pairs(name, part)


def module_constants(tree: ast.Module) -> dict[str, int]:
    """The program's integer constants at module level, by name, in order of definition."""
    constants: dict[str, int] = {}
    for name, value in assignments(tree.body):
        number = constant_int(value, constants)
        if number is not None:
            constants[name] = number
    return constants


def operators_of(tree: ast.Module) -> tuple[str, ...]:
    """Names of the operators that the program's function applies, in order of their appearance.

    Calls give their function's name (`torch.nn.functional.relu` is `relu`), arithmetic signs the
    name of torch's function; layers of a `Model` give their class's name in lower case. Comparisons, signs,
    indexing and `+=` count where there is nothing else.
    """
    nodes = [node for function in _computing(tree) for node in _in_order(function)]
    names = [_operator(node) for node in nodes]
    found = [name for name in names if name and name not in _NOT_OPERATORS]
    return tuple(found or filter(None, map(_weak_operator, nodes)))


def _computing(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions in which the computing is written: everything but what draws inputs."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if function.name not in DRAWING]


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes below `node`, operands before the operation that uses them."""
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)
        yield child


def _operator(node: ast.AST) -> str | None:
    if isinstance(node, ast.BinOp):
        constant = isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)
        return None if constant else _SYMBOLS.get(type(node.op))
    if not isinstance(node, ast.Call):
        return None
    name = None
    if isinstance(node.func, ast.Name):
        name = node.func.id.lower()
    elif isinstance(node.func, ast.Attribute) and not _is_self(node.func.value):
        name = node.func.attr.lower()
    return _LAYERS.get(name, name) if name else None


def _weak_operator(node: ast.AST) -> str | None:
    if isinstance(node, ast.AugAssign):
        return _SYMBOLS.get(type(node.op))
    if isinstance(node, ast.Subscript):
        return "index"
    if isinstance(node, ast.UnaryOp):
        return None if isinstance(node.operand, ast.Constant) else _WEAK_SYMBOLS.get(type(node.op))
    return _WEAK_SYMBOLS.get(type(node.ops[0])) if isinstance(node, ast.Compare) else None


def _is_self(node: ast.expr) -> bool:
    """Whether `node` is `self`: calling a layer is no operator, making the layer named it already."""
    return isinstance(node, ast.Name) and node.id == "self"


class _Renamer(ast.NodeTransformer):
    """Replaces local names by their order of appearance, and drops docstrings."""

    def __init__(self, local: set[str]) -> None:
        self._names: dict[str, str] = {}
        self._local = local
        self._numbers = count()

    def _rename(self, name: str) -> str:
        if name not in self._local:
            return name
        if name not in self._names:
            self._names[name] = f"name{next(self._numbers)}"
        return self._names[name]

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._rename(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg, node.annotation = self._rename(node.arg), None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant):
            return None
        return self.generic_visit(node)


def program_identity(program: str) -> str:
    """Hash of what `program` says, whatever its layout, comments, docstrings and variable names.

    Two programs with the same fingerprint are the same problem; keyword names are kept, so a rename
    of a function that is called by keyword tells them apart, which errs on the side of keeping both.
    """
    tree = parse(program)
    stores = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    renamed = _Renamer(stores | arguments).visit(tree)
    return hashlib.sha256(ast.dump(renamed).encode()).hexdigest()


def sizes_in_use(tree: ast.Module) -> bool:
    """Whether the functions that draw inputs use any of the module-level integer constants."""
    constants = module_constants(tree)
    drawing = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in DRAWING]
    return any(
        isinstance(node, ast.Name) and node.id in constants for item in drawing for node in ast.walk(item)
    )
