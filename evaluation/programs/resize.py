"""Rewriting a program's size constants, so that it is judged at sizes that a kernel never saw.

A size is an integer above 1 that makes a dimension: a constant at module level (also one in a list or a
dictionary), or every literal of one value where shapes are written. Constants of different names may be drawn
apart though they are equal; literals of one value stay equal, and 1 stays 1. `Rule` says what else is
preserved. A rewriting is only a proposal: `evaluation.programs.variants` runs it and rejects what does not
work. What is not covered: sizes that a program computes from anything but its constants.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TypeGuard

from evaluation.programs.sizes import SMALL
from evaluation.reference.syntax import DRAWING, assignments, constant_int, parse


class Rule(StrEnum):
    """What a rewriting preserves; tried in this order until the program runs."""

    INDEPENDENT = "independent"  #: nothing
    DIVISIBLE = "divisible"  #: products of two sizes, and multiples of the largest size that divides
    LITERAL = "literal"  #: multiples of the integers in the program, such as a number of groups
    SUM = "sum"  #: sums of two sizes, then as DIVISIBLE
    RATIO = "ratio"  #: the quotient by the largest size that divides
    BLOCKS = "blocks"  #: multiples of 16 and nothing else: for what is halved again and again


class Place(StrEnum):
    """Where a size is used."""

    INPUTS = "inputs"  #: by `get_inputs`
    MODULE = "module"  #: elsewhere, but not for groups
    GROUPS = "groups"  #: as a number of groups
    BODY = "body"  #: a literal that only the layers hold
    OTHER = "other"  #: another of them, perhaps a part of an image's side; only whole networks change it


@dataclass(frozen=True)
class Size:
    """A number that makes dimensions."""

    name: str
    """Of the constant; empty for literals, all of one value together."""
    value: int
    place: Place


#: Calls whose literals are sizes, and which positional arguments are (`None`: all of them).
_SHAPE_CALLS: dict[str, tuple[int, ...] | None] = {
    "randn": None, "rand": None, "zeros": None, "ones": None, "empty": None, "full": (0,), "randperm": None,
    "arange": None, "randint": (1, 2), "view": None, "reshape": None, "expand": None, "broadcast_to": None,
    "new_zeros": None, "new_ones": None, "new_empty": None, "layer_norm": (1,), "rms_norm": (1,), "eye": None,
    "Linear": (0, 1), "Bilinear": (0, 1, 2), "Embedding": (0, 1), "EmbeddingBag": (0, 1), "LayerNorm": (0,),
    "RMSNorm": (0,), "GroupNorm": (1,), "BatchNorm1d": (0,), "BatchNorm2d": (0,), "BatchNorm3d": (0,),
    "InstanceNorm1d": (0,), "InstanceNorm2d": (0,), "InstanceNorm3d": (0,), "Conv1d": (0, 1),
    "Conv2d": (0, 1), "Conv3d": (0, 1), "ConvTranspose1d": (0, 1), "ConvTranspose2d": (0, 1),
    "ConvTranspose3d": (0, 1), "RNN": (0, 1), "GRU": (0, 1), "LSTM": (0, 1), "RNNCell": (0, 1),
    "GRUCell": (0, 1), "LSTMCell": (0, 1), "MultiheadAttention": (0,), "TransformerEncoderLayer": (0, 2),
    "TransformerDecoderLayer": (0, 2), "linspace": (2,), "Model": None,
}  # fmt: skip
_SHAPE_KEYWORDS = frozenset({
    "size", "shape", "normalized_shape", "in_features", "out_features", "in_channels", "out_channels",
    "num_features", "num_channels", "embedding_dim", "num_embeddings", "embed_dim", "hidden_size",
    "input_size", "high", "d_model", "dim_feedforward", "in1_features", "in2_features", "proj_size",
})  # fmt: skip
#: Parts of the names of what is no size, whatever its value, and of numbers of groups.
_WINDOW = frozenset({
    "kernel", "stride", "strides", "pad", "padding", "paddings", "dilation", "dilations", "axis", "seed",
    "eps",
})  # fmt: skip
_GROUPS = frozenset({"group", "groups"})
_REPEATED, _COUNT = frozenset({"layers", "blocks"}), frozenset({"num", "n", "number"})
_WINDOWS = frozenset({"kernel_size", "stride", "padding", "dilation", "output_padding", "groups"})
_LEAST_PART = 4
"""Literals of the layers below this are ranks, strides and counts."""
_CHANNEL_AXES = 2
"""Axes of images and of weights before those that a window moves along."""
_SIDES = frozenset({"height", "width", "depth", "h", "w", "d"})
"""Parts of the names of an image's sides: equal ones stay equal, for kernels are written for squares."""
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


class Resizer:
    """One program and the places where its sizes are written."""

    def __init__(
        self, program: str, dimensions: Collection[int], widths: Collection[int] = frozenset()
    ) -> None:
        """`dimensions` are all extents of the program's inputs and parameters at the shipped sizes.

        Literals of the layers among the `widths` are sizes of their own, though an input has the same.
        """
        self._tree = parse(program)
        self._dimensions, self._widths = frozenset(dimensions), frozenset(widths)
        self._functions = {
            node.name: node
            for node in self._tree.body
            if isinstance(node, ast.FunctionDef) and node.name in DRAWING
        }
        self._tree.body = list(_separated(self._tree.body))
        _fold_assignments(self._tree.body)
        for function in self._functions.values():
            FoldArithmetic().visit(function)
        self._used = {name: self._names_behind(node) for name, node in self._functions.items()}
        self._sites: dict[Size, list[ast.Constant]] = {}
        self._collect_constants()
        self._collect_literals()
        self.sizes = tuple(self._sites)
        """All sizes, constants before literals."""

    def scopes(self) -> Iterator[tuple[Size, ...]]:
        """Which sizes to change, in order of preference: the first ones suit most programs."""
        inputs = [size for size in self.sizes if size.place is Place.INPUTS]
        module = [size for size in self.sizes if size.place is Place.MODULE]
        makers = [size for size in module if size.value in self._dimensions]
        body = [size for size in self.sizes if size.place is Place.BODY]
        usual = [*inputs, *(size for size in makers if size.value > SMALL)]
        groups = [size for size in self.sizes if size.place is Place.GROUPS]
        choices = [usual, [*inputs, *makers], [size for size in usual if size.value > SMALL]]
        choices += [[*inputs, *module], [*inputs, *module, *groups]]
        choices += [[size] for size in inputs] + [
            [*inputs, *module, *body],
            [*inputs, *module, *groups, *body],
            [size for size in [*inputs, *module] if size.value > SMALL] + body,
        ]
        yield from dict.fromkeys(tuple(choice) for choice in choices if choice)

    def grouped(self, scope: Sequence[Size], apart: bool) -> list[tuple[Size, ...]]:
        """The sizes that change together: those of one value, or where they may differ those of one name.

        What launch lines cannot name apart, and numbers of groups, follow the first constant of their value.
        """
        found: dict[tuple[str, int], list[Size]] = {}
        first: dict[int, tuple[str, int]] = {}
        for size in scope:
            free = apart and size.name.isidentifier() and size.place is not Place.GROUPS
            name = "side" if _is_side(size.name) else size.name
            key = (name, size.value) if free else first.get(size.value, ("", size.value))
            first.setdefault(size.value, key)
            found.setdefault(key, []).append(size)
        return [tuple(sizes) for sizes in found.values()]

    def fixed(self, scope: Collection[Size]) -> set[int]:
        """The integers above 1 that stay as they are when `scope` changes."""
        changing = {id(site) for size in scope for site in self._sites[size]}
        return {_value(node) for node in ast.walk(self._tree) if _is_size(node) and id(node) not in changing}

    def rewrite(self, new: Mapping[Size, int]) -> str:
        """The program with its sizes replaced."""
        sites = [(site, _value(site), value) for size, value in new.items() for site in self._sites[size]]
        for site, _, value in sites:
            site.value = value
        text = ast.unparse(self._tree)
        for site, before, _ in sites:
            site.value = before
        return text + "\n"

    def is_made(self, size: Size) -> bool:
        """Whether the module is made with it: it is a literal, or a name behind `get_init_inputs`."""
        return not size.name or size.name.partition("[")[0] in self._used.get("get_init_inputs", ())

    def _names_behind(self, node: ast.AST) -> set[str]:
        """Names that `node` uses, and those that these are computed from."""
        found: set[str] = set()
        expressions = dict(assignments(self._tree.body))
        waiting: list[ast.AST] = [node]
        while waiting:
            for part in ast.walk(waiting.pop()):
                if isinstance(part, ast.Name) and part.id not in found:
                    found.add(part.id)
                    waiting += [expressions[part.id]] if part.id in expressions else []
        return found

    def _collect_constants(self) -> None:
        """Constants at module level, which are called by name."""
        for name, value in assignments(self._tree.body):
            for path, node in _elements(value, name):
                place = self._place(name)
                if place is not None:
                    self._sites.setdefault(Size(path, _value(node), place), []).append(node)

    def _place(self, name: str) -> Place | None:
        parts = {part.lower() for part in _PART.findall(name)}
        if parts & _WINDOW or (parts & _REPEATED and parts & _COUNT):
            return None
        if parts & _GROUPS and "size" not in parts:
            return Place.GROUPS
        return Place.INPUTS if name in self._used.get("get_inputs", ()) else Place.MODULE

    def _collect_literals(self) -> None:
        """Literals by value: what follows a constant of that value, or is a size of its own."""
        drawn, made = self._functions.get("get_inputs"), self._functions.get("get_init_inputs")
        written = [node for node in [*(ast.walk(made) if made else ()), *self._defaults()] if _is_size(node)]
        places = {_value(node): Place.MODULE for node in written}
        places |= {
            _value(node): Place.INPUTS for node in (ast.walk(drawn) if drawn else ()) if _is_size(node)
        }
        places = {value: place for value, place in places.items() if value in self._dimensions}
        places |= {size.value: size.place for size in reversed(self._sites) if size.place is not Place.GROUPS}
        taken = {id(site) for sites in self._sites.values() for site in sites}
        taken |= {id(node) for node in (_weights_windows(drawn) if drawn else ())}
        shapes = [*self._defaults(), *self._locals(), *self._shape_literals(), *self._returned()]
        inputs = {id(node) for node in (ast.walk(drawn) if drawn else ())}
        following = [
            (node, places[_value(node)] if id(node) in inputs else self._place_of_layers(node, places))
            for node in shapes
            if _value(node) in places
        ]
        layers = [(node, Place.BODY) for node in self._body_literals()]
        others = [(node, Place.OTHER) for node in self._other_literals()]
        for node, place in [*following, *layers, *others]:
            if id(node) not in taken:
                taken.add(id(node))
                self._sites.setdefault(Size("", _value(node), place), []).append(node)

    def _place_of_layers(self, node: ast.Constant, places: Mapping[int, Place]) -> Place:
        return Place.MODULE if node.value in self._widths else places[_value(node)]

    def _defaults(self) -> Iterator[ast.Constant]:
        """Integer defaults of the module's constructor."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                for argument, default in zip(
                    reversed(node.args.args), reversed(node.args.defaults), strict=False
                ):
                    if self._place(argument.arg) in (Place.MODULE, Place.INPUTS):
                        yield from _literals(default)

    def _locals(self) -> Iterator[ast.Constant]:
        """Literals assigned in the functions that draw inputs."""
        for function in self._functions.values():
            for name, value in assignments(function.body):
                if self._place(name) in (Place.MODULE, Place.INPUTS):
                    yield from _literals(value)

    def _shape_literals(self) -> Iterator[ast.Constant]:
        """Literals in calls that take shapes, and slice bounds."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from _call_literals(node)
            elif isinstance(node, ast.Slice):
                for bound in (node.lower, node.upper):
                    yield from _literals(bound) if bound is not None else ()

    def _returned(self) -> Iterator[ast.Constant]:
        """Literals that `get_init_inputs` returns."""
        function = self._functions.get("get_init_inputs")
        for node in ast.walk(function) if function else ():
            if isinstance(node, ast.Return) and node.value is not None:
                yield from _literals(node.value)

    def _body_literals(self) -> Iterator[ast.Constant]:
        """Widths of layers: large literals that are dimensions, wherever classes and functions hold them."""
        for definition in self._tree.body:
            if isinstance(definition, ast.ClassDef | ast.FunctionDef) and definition.name not in DRAWING:
                for node in ast.walk(definition):
                    if _is_size(node) and _value(node) > SMALL and node.value in self._dimensions:
                        yield node
                    elif isinstance(node, ast.Call) and _called(node) == "Linear":
                        for width in [*node.args, *(keyword.value for keyword in node.keywords)][:1]:
                            yield from _flattened(width)

    def _other_literals(self) -> Iterator[ast.Constant]:
        """Literals of classes and functions that are not plainly windows, from 4 on."""
        for definition in self._tree.body:
            if isinstance(definition, ast.ClassDef | ast.FunctionDef) and definition.name not in DRAWING:
                windows = {id(node) for node in ast.walk(definition) for node in _windows(node)}
                for node in ast.walk(definition):
                    if _is_size(node) and _value(node) >= _LEAST_PART and id(node) not in windows:
                        yield node


def related(
    rule: Rule,
    sizes: Sequence[tuple[int, int]],
    fixed: Collection[int],
    ragged: bool,
    only: int | None = None,
) -> list[int]:
    """New values for pairs of a size and its target, as close to the targets as `rule` lets them be.

    `fixed` are the program's other integers. Multiples are odd if `ragged`, else powers of two. With `only`
    the rule is for sizes of that value.
    """
    new: dict[int, int] = {}
    result: dict[int, int] = {}
    for index in sorted(range(len(sizes)), key=lambda index: sizes[index][0]):
        value, target = sizes[index]
        free = only is not None and value != only
        result[index] = target if free else _related(rule, value, target, new, fixed, ragged)
        new.setdefault(value, result[index])
    return [result[index] for index in range(len(sizes))]


def _related(
    rule: Rule, value: int, target: int, new: Mapping[int, int], fixed: Collection[int], ragged: bool
) -> int:
    """The same for one size, given those below it."""
    if rule is Rule.INDEPENDENT:
        return target
    if rule is Rule.BLOCKS:
        return target if value <= SMALL else SMALL * max(1, target // SMALL)
    if rule is Rule.LITERAL:
        factor = next((other for other in new if value % other == 0 and value // other in fixed), None)
        if factor is not None and factor > 1:
            return new[factor] * (value // factor)
        divisor = _divisor(value, fixed)
        return _multiple(target, divisor, ragged) if divisor else target
    divisor = _divisor(value, new)
    if rule is Rule.RATIO:
        return new[divisor] * (value // divisor) if divisor else min(target, value)
    addend = next((other for other in new if value - other in new), None) if rule is Rule.SUM else None
    if addend is not None:
        return new[addend] + new[value - addend]
    product = next((other for other in new if value % other == 0 and value // other in new), None)
    if product is not None:
        return new[product] * new[value // product]
    return _multiple(target, new[divisor], ragged) if divisor else target


def _multiple(target: int, base: int, ragged: bool) -> int:
    """A multiple of `base` near `target`: by an odd factor if ragged, else by a power of two.

    The factor is at least 3 or 2, so that what has as many parts does not fall to single elements.
    """
    factor = max(2, target // base)
    if not ragged:
        return base * (1 << (factor.bit_length() - 1))
    return base * max(3, factor - 1 + factor % 2)


def _divisor(value: int, others: Collection[int]) -> int | None:
    """The largest of `others` that divides `value` and is smaller."""
    return max((other for other in others if 1 < other < value and value % other == 0), default=None)


def _is_side(name: str) -> bool:
    return bool(_SIDES & {part.lower() for part in _PART.findall(name)})


def _separated(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements with `rows = cols = 1024` taken apart, so that either may change alone."""
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) > 1 and _is_size(statement.value):
            for target in statement.targets:
                value = ast.Constant(statement.value.value)
                yield ast.Assign([target], value, lineno=statement.lineno, col_offset=statement.col_offset)
        else:
            yield statement


def _fold_assignments(body: list[ast.stmt]) -> None:
    """Turn assigned arithmetic (`1 << 20`, `64 * 64`) into the literal that it stands for."""
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            statement.value = FoldArithmetic().visit(statement.value)


class FoldArithmetic(ast.NodeTransformer):
    """Turns arithmetic of literals into the literal that it stands for, wherever it is."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """The literal, or the node with its parts visited."""
        value = constant_int(node)
        return self.generic_visit(node) if value is None else ast.Constant(value)


def _elements(node: ast.expr, path: str) -> Iterator[tuple[str, ast.Constant]]:
    """The sizes in an assigned value, with their names: a number, or those in a list or dictionary."""
    if _is_size(node):
        yield path, node
    elif isinstance(node, ast.List | ast.Tuple):
        for index, item in enumerate(node.elts):
            yield from _elements(item, f"{path}[{index}]")
    elif isinstance(node, ast.BinOp) and isinstance(node.left, ast.List | ast.Tuple):  # [64] * 8
        yield from _elements(node.left, path)
    elif isinstance(node, ast.ListComp):
        yield from _elements(node.elt, path)
    elif isinstance(node, ast.Dict):
        for key, item in zip(node.keys, node.values, strict=True):
            name = str(key.value) if isinstance(key, ast.Constant) else ""
            if not _WINDOW & {part.lower() for part in _PART.findall(name)}:
                yield from _elements(item, f"{path}[{name}]")


def _is_size(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value > 1


def _value(node: ast.Constant) -> int:
    assert isinstance(node.value, int)
    return node.value


def _literals(node: ast.expr) -> Iterator[ast.Constant]:
    """Integer literals of a shape: in tuples, lists and arithmetic, not in calls inside it."""
    if _is_size(node):
        yield node
    elif isinstance(node, ast.List | ast.Tuple):
        for item in node.elts:
            yield from _literals(item)
    elif isinstance(node, ast.BinOp):
        yield from _literals(node.left)
        yield from _literals(node.right)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _flattened(node: ast.expr) -> Iterator[ast.Constant]:
    """The sides in a product of channels and sides, `512 * 7 * 7`."""
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        if _is_size(node.right):
            yield node.right
        node = node.left


def _windows(node: ast.AST) -> Iterator[ast.AST]:
    """What lies in the arguments of a convolution that are no channels, and in all that are named so."""
    if not isinstance(node, ast.Call):
        return
    named = [keyword.value for keyword in node.keywords if keyword.arg in _WINDOWS]
    placed = node.args[2:] if _called(node).lower().startswith("conv") else []
    for argument in [*placed, *named]:
        yield from ast.walk(argument)


def _weights_windows(drawn: ast.FunctionDef) -> Iterator[ast.expr]:
    """Windows of drawn weights: small last extents as literals, beside an image that has larger ones.

    A kernel holds them as the program does, and nothing but a name could tell it of another.
    """
    shapes = [_shape(node) for node in ast.walk(drawn) if isinstance(node, ast.Call)]
    shapes = [shape for shape in shapes if len(shape) > _CHANNEL_AXES]
    for shape in shapes:
        window = shape[_CHANNEL_AXES:]
        images = [other[_CHANNEL_AXES:] for other in shapes if len(other) == len(shape)]
        if all(_extent(part) <= SMALL for part in window) and any(
            all(_extent(side) > _extent(part) for side, part in zip(image, window, strict=True))
            for image in images
        ):
            yield from window


def _shape(call: ast.Call) -> list[ast.expr]:
    """The extents that a call draws a tensor of; empty for other calls."""
    if _called(call) not in ("randn", "rand") or not call.args:
        return []
    first = call.args[0]
    return first.elts if isinstance(first, ast.List | ast.Tuple) else call.args


def drawn_shapes(tree: ast.Module) -> Iterator[list[ast.expr]]:
    """The extents of every tensor that `get_inputs` draws, as they stand in the tree."""
    for definition in tree.body:
        if isinstance(definition, ast.FunctionDef) and definition.name == DRAWING[0]:
            for node in ast.walk(definition):
                if isinstance(node, ast.Call) and (shape := _shape(node)):
                    yield shape


def _extent(node: ast.expr) -> float:
    """A literal's value; what has a name is no window's."""
    return _value(node) if isinstance(node, ast.Constant) and type(node.value) is int else inf


def _call_literals(call: ast.Call) -> Iterator[ast.Constant]:
    positions = _SHAPE_CALLS.get(_called(call), ())
    for index, argument in enumerate(call.args):
        if positions is None or index in positions:
            yield from _literals(argument)
    for keyword in call.keywords:
        if keyword.arg in _SHAPE_KEYWORDS:
            yield from _literals(keyword.value)
