"""Rewriting a program's size constants, so that it is judged at small sizes that a kernel never saw.

A size constant is an integer above 1 that makes a dimension: at module level, in the shapes of `get_inputs`
and `get_init_inputs`, or where the function body repeats it as a shape. Constants are grouped by
value, so that equal stays equal and 1 stays 1; `Rule` says what else is preserved. A rewriting is
only a proposal: `evaluation.program` runs it and rejects what does not work or changes rank.
What is not covered: sizes that a program computes from anything but its constants.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from evaluation.syntax import ProgramError, assignments, constant_int, module_constants, parse


class Style(StrEnum):
    """What a variant's sizes are for."""

    RAGGED = "ragged"  #: off the usual blocks, to tell kernels without bounds guards
    ALIGNED = "aligned"  #: multiples of the usual blocks


class Rule(StrEnum):
    """What a rewriting preserves besides equality; tried in this order until the program runs."""

    INDEPENDENT = "independent"  #: nothing else
    DIVISIBLE = "divisible"  #: products of two sizes, and multiples of the largest size that divides
    SUM = "sum"  #: sums of two sizes, then the same
    LITERAL = "literal"  #: multiples of the integers in the program, such as a number of groups
    ONE_LITERAL = "one-literal"  #: the same for one size at a time
    RATIO = "ratio"  #: the quotient by the largest size that divides
    LARGE_ONLY = "large-only"  #: every size up to 16, by keeping it
    TINY = "tiny"  #: nothing else, at the smallest sizes there are (outputs may be far larger than inputs)


@dataclass(frozen=True)
class Variant:
    """A program at other sizes: `sizes` maps each size constant's old value to its new one."""

    style: Style
    program: str
    sizes: tuple[tuple[int, int], ...]


_SMALL = 16
"""Sizes up to this are batches, channels or windows, and stay small."""

#: Values for the sizes above `_SMALL`, by how many there are, in order of preference. Elementwise
#: sizes lie on both sides of a block of 256; rows and columns are odd, or just past a block.
_MENUS: dict[Style, dict[int, tuple[tuple[int, ...], ...]]] = {
    Style.RAGGED: {
        0: ((), (), ()),
        1: ((1000,), (4133,), (129,), (70,), (45,), (37,), (19,), (13,), (7,), (5,), (3,), (2,)),
        2: ((37, 45), (70, 64), (5, 129), (129, 7), (19, 23), (33, 20), (11, 13), (7, 9), (5, 3), (3, 5)),
        3: ((19, 37, 23), (33, 20, 45), (5, 129, 7), (13, 9, 11), (7, 5, 9), (5, 3, 7), (3, 5, 2)),
        4: ((5, 9, 7, 11), (7, 11, 3, 9), (9, 5, 13, 3), (3, 7, 5, 5), (3, 5, 2, 7), (2, 3, 5, 3)),
    },
    Style.ALIGNED: {
        0: ((), ()),
        1: ((1024,), (2048,), (256,), (128,), (64,), (32,), (16,), (8,), (4,), (2,)),
        2: ((64, 48), (128, 32), (32, 64), (32, 32), (16, 32), (16, 16), (8, 16), (8, 8), (4, 8), (4, 4)),
        3: ((32, 48, 16), (16, 32, 64), (32, 16, 32), (16, 16, 16), (8, 16, 8), (8, 8, 8), (4, 8, 4)),
        4: ((16, 8, 16, 8), (8, 16, 4, 16), (8, 8, 8, 8), (4, 8, 4, 8), (4, 4, 4, 4), (2, 4, 2, 4)),
    },
}
#: Values for the sizes up to `_SMALL`: the j-th smallest of them takes the j-th from some offset on.
_SMALL_VALUES = {Style.RAGGED: (2, 3, 5, 7, 9, 11, 13, 15), Style.ALIGNED: (2, 4, 8, 16, 32, 64)}
_SMALL_OFFSETS = {Style.RAGGED: (1, 0, 2), Style.ALIGNED: (0, 1)}

_TINY_VALUES = {
    Style.RAGGED: ((3, 2), (2, 3), (2, 3, 3), (3, 3, 2), (2, 2, 3), (2,)),
    Style.ALIGNED: ((2, 4), (4, 2), (2,)),
}  # fmt: skip

#: Calls whose literals are sizes, and which positional arguments are (`None`: all of them).
_SHAPE_CALLS: dict[str, tuple[int, ...] | None] = {
    "randn": None, "rand": None, "zeros": None, "ones": None, "empty": None, "full": (0,), "randperm": None,
    "arange": None, "randint": (1, 2), "view": None, "reshape": None, "expand": None, "broadcast_to": None,
    "new_zeros": None, "new_ones": None, "new_empty": None, "layer_norm": (1,), "rms_norm": (1,), "eye": None,
    "Linear": (0, 1), "Embedding": (0, 1), "LayerNorm": (0,), "RMSNorm": (0,), "GroupNorm": (1,),
    "BatchNorm1d": (0,), "BatchNorm2d": (0,), "BatchNorm3d": (0,), "InstanceNorm1d": (0,),
    "InstanceNorm2d": (0,), "InstanceNorm3d": (0,), "Conv1d": (0, 1), "Conv2d": (0, 1), "Conv3d": (0, 1),
    "ConvTranspose1d": (0, 1), "ConvTranspose2d": (0, 1), "ConvTranspose3d": (0, 1),
    "MultiheadAttention": (0,), "Model": None,
}  # fmt: skip
_SHAPE_KEYWORDS = frozenset({
    "size", "shape", "normalized_shape", "in_features", "out_features", "in_channels", "out_channels",
    "num_features", "num_channels", "embedding_dim", "num_embeddings", "embed_dim", "hidden_size",
    "input_size", "high",
})  # fmt: skip
#: Names of constants that are no sizes, whatever their value.
_NO_SIZE = re.compile(r"kernel|stride|pad|dilat|group|axis|seed|reduce_dim|eps", re.IGNORECASE)


class Resizer:
    """One program and the places where its sizes are written."""

    def __init__(self, program: str, dimensions: Collection[int]) -> None:
        """`dimensions` are all extents of the program's inputs and parameters at the shipped sizes."""
        self._tree = parse(program)
        self._drawing = [
            node for node in self._tree.body
            if isinstance(node, ast.FunctionDef) and node.name in ("get_inputs", "get_init_inputs")
        ]  # fmt: skip
        _fold_assignments(self._tree.body)
        for function in self._drawing:
            _FoldArithmetic().visit(function)
        self._sites: list[ast.Constant] = []
        self._literals = {_value(node) for node in ast.walk(self._tree) if _is_size(node)}
        self.values = self._defined(set(dimensions))
        """Values of the size constants that may change, in order of appearance."""
        self._collect()

    def variants(self, style: Style, rule: Rule) -> Iterator[Variant]:
        """Programs at other sizes in order of preference, each text once."""
        seen = set()
        for sizes in self._proposals(style, rule):
            if any(new < 1 for new in sizes.values()):
                continue
            program = self.rewrite(sizes)
            if program not in seen:
                seen.add(program)
                yield Variant(style, program, tuple(sizes.items()))

    def rewrite(self, sizes: Mapping[int, int]) -> str:
        """The program with every size constant replaced by what `sizes` maps its value to."""
        before = [_value(site) for site in self._sites]
        for site, value in zip(self._sites, before, strict=True):
            site.value = sizes.get(value, value)
        text = ast.unparse(self._tree)
        for site, value in zip(self._sites, before, strict=True):
            site.value = value
        return text + "\n"

    def _defined(self, dimensions: set[int]) -> tuple[int, ...]:
        """Values of the constants that define a size, in order of appearance."""
        used = {
            node.id for function in self._drawing for node in ast.walk(function) if isinstance(node, ast.Name)
        }
        constants = module_constants(self._tree)
        sizes = [value for name, value in constants.items() if not _NO_SIZE.search(name) and name in used]
        fixed = {value for name, value in constants.items() if _NO_SIZE.search(name)} - set(sizes)
        written = [node for function in self._drawing for node in ast.walk(function) if _is_size(node)]
        sizes += [_value(node) for node in [*written, *self._defaults()] if _value(node) in dimensions]
        return tuple(dict.fromkeys(value for value in sizes if value > 1 and value not in fixed))

    def _defaults(self) -> Iterator[ast.Constant]:
        """Integer defaults of the module's constructor."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                for default in node.args.defaults:
                    yield from _literals(default)

    def _collect(self) -> None:
        """Find every literal that holds one of the values in a place where it is a size."""
        found: dict[int, ast.Constant] = {}
        for node in [*self._constants(), *self._defaults(), *self._shape_literals(), *self._returned()]:
            if node.value in self.values:
                found[id(node)] = node
        self._sites = list(found.values())

    def _constants(self) -> Iterator[ast.Constant]:
        """Literals assigned at module level and in the functions that draw inputs."""
        for body in (self._tree.body, *(function.body for function in self._drawing)):
            for name, value in assignments(body):
                if not _NO_SIZE.search(name):
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
        for function in self._drawing:
            for node in ast.walk(function) if function.name == "get_init_inputs" else ():
                if isinstance(node, ast.Return) and node.value is not None:
                    yield from _literals(node.value)

    def _proposals(self, style: Style, rule: Rule) -> Iterator[dict[int, int]]:
        """New values for the sizes, in order of preference; only equality and `rule` are heeded."""
        if rule is Rule.TINY:
            for row in _TINY_VALUES[style]:
                yield {value: row[index % len(row)] for index, value in enumerate(self.values)}
            return
        large = [value for value in self.values if value > _SMALL] or list(self.values)
        small = sorted(value for value in self.values if value not in large)
        for index, menu in enumerate(_menu(style, len(large))):
            offsets = _SMALL_OFFSETS[style]
            values = _SMALL_VALUES[style][offsets[index % len(offsets)] :]
            sizes = dict(zip(large, menu, strict=True))
            if rule is not Rule.LARGE_ONLY:
                sizes |= {old: values[position % len(values)] for position, old in enumerate(small)}
            if rule is Rule.ONE_LITERAL:
                for value in sorted(sizes, reverse=True):
                    yield sizes | _by_literal({value: sizes[value]}, style, self._literals - set(sizes))
            else:
                yield _RULES[rule](sizes, style, self._literals) if rule in _RULES else sizes


def _menu(style: Style, count: int) -> Iterator[tuple[int, ...]]:
    """Tuples of `count` sizes in order of preference; the longest menu is repeated for larger counts."""
    menus = _MENUS[style]
    longest = max(menus)
    for row in menus[min(count, longest)]:
        yield (row * count)[:count] if count > longest else row


def _multiple(target: int, base: int, style: Style) -> int:
    """A multiple of `base` near `target`: by an odd factor if ragged, by a power of two if aligned.

    The factor is at least 3 or 2, so that what has as many parts does not fall to single elements.
    """
    factor = max(2, target // base)
    if style is Style.ALIGNED:
        return base * (1 << (factor.bit_length() - 1))
    return base * max(3, factor - 1 + factor % 2)


def _divisor(value: int, others: Collection[int]) -> int | None:
    """The largest of `others` that divides `value` and is smaller."""
    return max((other for other in others if 1 < other < value and value % other == 0), default=None)


def _divisible(
    sizes: dict[int, int], style: Style, literals: Collection[int], sums: bool = False
) -> dict[int, int]:
    """Keep products and multiples among the sizes, and with `sums` also sums of two."""
    new: dict[int, int] = {}
    for value in sorted(sizes):
        product = next((a for a in new if value % a == 0 and value // a in new), None)
        addend = next((a for a in new if value - a in new), None) if sums else None
        divisor = _divisor(value, new)
        if addend is not None:
            new[value] = new[addend] + new[value - addend]
        elif product is not None:
            new[value] = new[product] * new[value // product]
        else:
            new[value] = _multiple(sizes[value], new[divisor], style) if divisor else sizes[value]
    return {value: new[value] for value in sizes}


def _sums(sizes: dict[int, int], style: Style, literals: Collection[int]) -> dict[int, int]:
    return _divisible(sizes, style, literals, sums=True)


def _by_literal(sizes: dict[int, int], style: Style, literals: Collection[int]) -> dict[int, int]:
    """Keep products and multiples of the program's other integers (numbers of groups, heads, windows)."""
    fixed = set(literals) - set(sizes)
    new: dict[int, int] = {}
    for value in sorted(sizes):
        factor = next((a for a in new if value % a == 0 and value // a in fixed), None)
        divisor = _divisor(value, fixed)
        if factor is not None:
            new[value] = new[factor] * (value // factor)
        else:
            new[value] = _multiple(sizes[value], divisor, style) if divisor else sizes[value]
    return {value: new[value] for value in sizes}


def _ratios(sizes: dict[int, int], style: Style, literals: Collection[int]) -> dict[int, int]:
    """Keep each size's quotient by the largest size that divides it."""
    new: dict[int, int] = {}
    for value in sorted(sizes):
        divisor = _divisor(value, new)
        new[value] = new[divisor] * (value // divisor) if divisor else min(sizes[value], value)
    return {value: new[value] for value in sizes}


_RULES = {Rule.DIVISIBLE: _divisible, Rule.SUM: _sums, Rule.LITERAL: _by_literal, Rule.RATIO: _ratios}


def with_sizes(program: str, sizes: Mapping[str, int]) -> str:
    """`program` with its module-level integer constants set to `sizes`, by name.

    Raises `ProgramError` when a name is not such a constant.
    """
    tree = parse(program)
    _fold_assignments(tree.body)
    missing = set(sizes)
    for name, value in assignments(tree.body):
        if name in sizes and isinstance(value, ast.Constant) and type(value.value) is int:
            value.value = sizes[name]
            missing.discard(name)
    if missing:
        raise ProgramError(
            f"the program has no integer constant named {', '.join(sorted(missing))} at module level"
        )
    return ast.unparse(tree) + "\n"


def _fold_assignments(body: list[ast.stmt]) -> None:
    """Turn assigned arithmetic (`1 << 20`, `64 * 64`) into the literal that it stands for."""
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            statement.value = _folded(statement.value)


class _FoldArithmetic(ast.NodeTransformer):
    """Turns arithmetic of literals into the literal that it stands for, wherever it is."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        value = constant_int(node)
        return node if value is None else ast.Constant(value)


def _folded(node: ast.expr) -> ast.expr:
    value = constant_int(node)
    if value is not None:
        return ast.Constant(value)
    if isinstance(node, ast.Tuple | ast.List):
        node.elts = [_folded(item) for item in node.elts]
    return node


def _is_size(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value > 1


def _value(node: ast.Constant) -> int:
    assert isinstance(node.value, int)
    return node.value


def _literals(node: ast.expr) -> Iterator[ast.Constant]:
    """Integer literals of a shape: in tuples, lists and arithmetic, not in calls inside it."""
    if isinstance(node, ast.Constant) and _is_size(node):
        yield node
    elif isinstance(node, ast.List | ast.Tuple):
        for item in node.elts:
            yield from _literals(item)
    elif isinstance(node, ast.BinOp):
        yield from _literals(node.left)
        yield from _literals(node.right)


def _call_literals(call: ast.Call) -> Iterator[ast.Constant]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    positions = _SHAPE_CALLS.get(name, ())
    for index, argument in enumerate(call.args):
        if positions is None or index in positions:
            yield from _literals(argument)
    for keyword in call.keywords:
        if keyword.arg in _SHAPE_KEYWORDS:
            yield from _literals(keyword.value)
