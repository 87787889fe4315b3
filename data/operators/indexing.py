"""Operators that move elements: each element of the result is one of an operand, or zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from data.kernels.elementwise import Source, by_element
from data.operators.dims import BATCH, CHANNELS, COLUMNS, FEATURES, HEIGHT, INNER, QUERIES, ROWS, WIDTH, Kind
from data.operators.domains import Domain, below
from data.operators.operator import Attribute, Operator
from data.settings import KernelStyle

if TYPE_CHECKING:
    from data.kernels.kernel import Kernel


def _from(place: str, *, operand: str = "x", where: str = "") -> Source:
    """The element at a flat index, which may have attributes in braces; zero where a condition fails."""

    def source(k: Kernel) -> str:
        given = dict(k.node.attributes)
        index = place.format(**given)
        if where:
            return k.read(operand, index, where.format(**given))
        return k.load(operand, index)

    return source


def _through(place: str, index: str, *, operand: str = "x") -> Source:
    """The element at a flat index that has a value of the operand `index` in it, as `j`."""

    def source(k: Kernel) -> str:
        k.line(f"int j = {k.read('index', index)};")
        return k.load(operand, place)

    return source


def _one_of(first: str, x: str, y: str) -> Source:
    """An element of x where a condition holds, of y elsewhere."""

    def source(k: Kernel) -> str:
        k.line("float v = 0.f;")
        with k.block(f"if ({first})"):
            k.line(f"v = {k.load('x', x)};")
        with k.block("else"):
            k.line(f"v = {k.load('y', y)};")
        return "v"

    return source


def _moved(
    name: str,
    torch: str,
    signature: str,
    source: Source,
    *,
    dims: Mapping[str, Kind] | None = None,
    attributes: Mapping[str, Sequence[Attribute]] | None = None,
    domains: Mapping[str, Domain] | None = None,
    reads: Mapping[str, str] | None = None,
    styles: Sequence[KernelStyle] = tuple(KernelStyle),
) -> Operator:
    return Operator(
        name, torch, signature, flops=0, dims=dims or {}, attributes=attributes or {}, domains=domains or {},
        reads=reads or {},
        writers={style: writer for style, writer in by_element(source).items() if style in styles},
    )  # fmt: skip


_MATRIX = {"m": ROWS, "n": COLUMNS}
_IMAGE = {"b": BATCH, "c": CHANNELS, "h": HEIGHT, "w": WIDTH}
_DIAGONALS = {"diagonal": (0, 1, 2)}
_SAME = "x[m, n] -> out[m, n]"

OPERATORS = (
    _moved(
        "tril", "torch.tril({x}, {diagonal})", _SAME, _from("i", where="i % n <= i / n + {diagonal}"),
        attributes=_DIAGONALS,
    ),
    _moved(
        "triu", "torch.triu({x}, {diagonal})", _SAME, _from("i", where="i % n >= i / n + {diagonal}"),
        attributes=_DIAGONALS,
    ),
    _moved("flip", "{x}.flip(1)", _SAME, _from("i / n * n + n - 1 - i % n")),
    _moved(
        "roll", "torch.roll({x}, {shift}, 1)", _SAME, _from("i / n * n + (i % n + n - {shift} % n) % n"),
        attributes={"shift": (1, 3)},
    ),
    _moved(
        "permute", "{x}.permute(0, 2, 3, 1)", "x[b, c, h, w] -> out[b, h, w, c]",
        _from("((i / (h * w * c)) * c + i % c) * h * w + i / c % (h * w)"), dims=_IMAGE,
    ),
    _moved(
        "repeat", "{x}.repeat({down}, {across})", "x[m, n] -> out[down * m, across * n]",
        _from("i / ({across} * n) % m * n + i % n"), attributes={"down": (2, 3), "across": (1, 3)},
    ),
    _moved(
        "repeat_interleave", "{x}.repeat_interleave({times}, 1)", "x[m, n] -> out[m, times * n]",
        _from("i / {times}"), attributes={"times": (2, 3)},
    ),
    _moved(
        "cat", "torch.cat([{x}, {y}], 1)", "x[m, n], y[m, k] -> out[m, n + k]",
        _one_of("i % (n + k) < n", "i / (n + k) * n + i % (n + k)", "i / (n + k) * k + i % (n + k) - n"),
        dims={**_MATRIX, "k": INNER},
    ),
    _moved(
        "stack", "torch.stack([{x}, {y}], 1)", "x[m, n], y[m, n] -> out[m, 2, n]",
        _one_of("i / n % 2 == 0", "i / (2 * n) * n + i % n", "i / (2 * n) * n + i % n"),
    ),
    _moved(
        "gather", "torch.gather({x}, 1, {index})", "x[m, n], index[m, k]: int64 -> out[m, k]",
        _through("i / k * n + j", "i"), dims={**_MATRIX, "k": QUERIES}, domains={"index": below("n")},
        reads={"x": "m * k"},
    ),
    _moved(
        "index_select", "torch.index_select({x}, 0, {index})", "x[m, n], index[k]: int64 -> out[k, n]",
        _through("j * n + i % n", "i / n"), dims={**_MATRIX, "k": QUERIES}, domains={"index": below("m")},
        reads={"x": "k * n"},
    ),
    _moved(
        "embedding", "F.embedding({index}, {weight})",
        "index[b, t]: int64, weight[m, f] -> out[b, t, f]",
        _through("j * f + i % f", "i / f", operand="weight"),
        dims={"b": BATCH, "t": QUERIES, "f": FEATURES, "m": ROWS}, domains={"index": below("m")},
        reads={"weight": "b * t * f"},
    ),
    _moved(
        "diagonal", "torch.diagonal({x})", "x[n, n] -> out[n]", _from("i * (n + 1)"), reads={"x": "n"},
        styles=(KernelStyle.PER_OUTPUT, KernelStyle.GRID_STRIDE),
    ),
    _moved("diag_embed", "torch.diag_embed({x})", "x[b, f] -> out[b, f, f]",
           _from("i / f", where="i % f == i / f % f")),
    _moved(
        "narrow", "{x}.narrow(1, {start}, {n})", "x[m, start + n] -> out[m, n]",
        _from("i / n * (n + {start}) + i % n + {start}"), attributes={"start": (3, 1)}, reads={"x": "m * n"},
    ),
)  # fmt: skip
