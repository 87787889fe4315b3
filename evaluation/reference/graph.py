"""What a program computes as a graph of operators, whatever its names, its layout and its sizes.

Two programs with the same graph are the same task: written with a module or a function, as `x + y` or
`torch.add(y, x)`, at 64 or at 4096. The program is run with a recorder, on `meta` where it can be, so that
nothing is computed. Runs inside the confined child, as `evaluation.reference.execute` does.

What is kept: operators and their settings, dtypes, ranks, which extents are equal and which are 1. What is
not: sizes, the order of operands that may be swapped, what no output needs, and what only copies.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from evaluation.reference.execute import count_elements, load, seed_everything
from evaluation.reference.torch_modes import Redirect, leaves, tensors_in

_SECONDS = 2.0
"""CPU time of a recording: a program of more steps is no task for one kernel."""
_SMALL = 8
"""Integers up to this are settings (an axis, a stride); larger ones are sizes if some tensor has them."""
_COPIES = frozenset({"clone", "detach", "alias", "lift_fresh", "lift_fresh_copy", "contiguous"})
_SWAPPABLE = frozenset({
    "add", "mul", "maximum", "minimum", "fmax", "fmin", "eq", "ne",
    "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor",
})  # fmt: skip
_OF_THE_MACHINE = frozenset({"device", "layout", "pin_memory", "memory_format", "non_blocking", "generator"})
_AXES = frozenset({"dim", "dims", "dim0", "dim1", "start_dim", "end_dim", "axis"})
_EXTENTS = frozenset({"size", "shape", "normalized_shape", "split_size", "split_sizes", "output_size"})


@dataclass(eq=False)
class Value:
    """One tensor of the graph."""

    operator: str
    """What gave it: an operator, or `input`, `parameter`, `constant`."""
    settings: tuple[tuple[str, Any], ...]
    """Arguments by name, tensors replaced by their values."""
    output: int
    """Which output of the operator it is."""
    shape: tuple[int, ...]
    dtype: str
    colour: str = field(init=False)
    """Hash of all above, sizes left out: what operands that may be swapped are sorted by."""

    def __post_init__(self) -> None:
        ones = [extent == 1 for extent in self.shape]
        parts = [(name, _colours(setting)) for name, setting in self.settings]
        self.colour = _digest(repr((self.operator, self.output, self.dtype, ones, parts)))


class Recorder(TorchDispatchMode):
    """Keeps for every tensor what it was computed from."""

    def __init__(self) -> None:
        """Begin an empty graph; it may take `_SECONDS`."""
        super().__init__()
        self._values: dict[int, tuple[Value, int]] = {}
        self._changes: dict[int, tuple[Value, int]] = {}
        self._alive: list[Tensor] = []  # so that no identity is given twice
        self._tick = 0
        self._ends = time.process_time() + _SECONDS

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: see `evaluation.reference.torch_modes.WorkCounter`."""
        return False

    def leaf(self, tensor: Tensor, role: str) -> None:
        """Take in a tensor that nothing recorded has computed."""
        self._keep(tensor, Value(role, (), 0, tuple(tensor.shape), str(tensor.dtype)))

    def value(self, tensor: Tensor) -> Value:
        """What a tensor is now: one that shares its memory may have been written since."""
        if id(tensor) not in self._values:
            self.leaf(tensor, "constant")
        value, tick = self._values[id(tensor)]
        change, changed = self._changes.get(_storage(tensor), (value, -1))
        if changed <= tick:
            return value
        settings = (("before", value), ("change", change))
        return Value("changed", settings, 0, value.shape, value.dtype)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if time.process_time() > self._ends:
            raise TimeoutError("it takes too many steps")
        settings = self._settings(func, args, kwargs or {})
        result = func(*args, **(kwargs or {}))
        name = func._overloadpacket.__name__
        written = func._schema.is_mutable
        operator = name.removesuffix("_") if written else name
        copied = next(iter(tensors_in(args)), None) if operator in _COPIES else None
        for index, tensor in enumerate(leaves(result)):
            if not isinstance(tensor, Tensor):
                continue
            value = Value(operator, settings, index, tuple(tensor.shape), str(tensor.dtype))
            self._keep(tensor, value if copied is None else self.value(copied))
            if written:
                self._changes[_storage(tensor)] = (value, self._tick)
        return result

    def _keep(self, tensor: Tensor, value: Value) -> None:
        self._tick += 1
        self._values[id(tensor)] = (value, self._tick)
        self._alive.append(tensor)

    def _settings(self, func: Any, args: tuple, kwargs: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        """All arguments by name, those left out by their defaults."""
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False))
        given |= kwargs
        found = {
            argument.name: given.get(argument.name, argument.default_value)
            for argument in func._schema.arguments
            if argument.name not in _OF_THE_MACHINE
        }
        rank = next((tensor.ndim for tensor in tensors_in(args)), 0)
        settings = {name: self._plain(name, value, rank) for name, value in found.items()}
        if func._overloadpacket.__name__.removesuffix("_") in _SWAPPABLE:
            settings = _sorted_operands(settings)
        return tuple(settings.items())

    def _plain(self, name: str, value: Any, rank: int) -> Any:
        if isinstance(value, Tensor):
            return self.value(value)
        if isinstance(value, list | tuple):
            return tuple(self._plain(name, item, rank) for item in value)
        if name in _AXES and type(value) is int and value < 0:
            return value + rank
        return value if isinstance(value, int | float | complex | None) else str(value)


def graph_hash(program: str, limit: int) -> str:
    """Hash of the graph of `program`; empty where it cannot be recorded without computing too much.

    As for a survey, it is run on `meta` if that works, and for real if its inputs and parameters hold at most
    `limit` elements.
    """
    for making in ("meta", "cpu"):
        with suppress(Exception):
            return _recorded(program, making, "meta")
    elements = count_elements(program)
    if elements is not None and sum(elements) > limit:
        return ""
    return _recorded(program, "cpu", "cpu")


def _recorded(program: str, making: str, computing: str) -> str:
    seed_everything(0)
    with torch.device(making), Redirect(making):
        loaded = load(program)
    if loaded.model is not None:
        loaded.model.to(computing)
    with torch.device(computing), Redirect(computing):
        values = loaded.draw()
        recorder = Recorder()
        for tensor in tensors_in(list(values)):
            recorder.leaf(tensor, "input")
        if loaded.model is not None:
            for tensor in (*loaded.model.parameters(), *loaded.model.buffers()):
                recorder.leaf(tensor, "parameter")
        with recorder:
            outputs = loaded.call(values)
        return _digest(_text([recorder.value(tensor) for tensor in outputs.values()]))


def _text(outputs: Sequence[Value]) -> str:
    """The graph below `outputs`, each value once, with the values and sizes numbered as they come."""
    order = _in_order(outputs)
    extents = {extent for value in order for extent in value.shape}
    numbers = {id(value): number for number, value in enumerate(order)}
    sizes: dict[int, str] = {}

    def size(extent: int) -> str:
        return sizes.setdefault(extent, f"s{len(sizes)}") if extent > 1 else str(extent)

    def setting(name: str, item: Any) -> str:
        if isinstance(item, Value):
            return f"%{numbers[id(item)]}"
        if isinstance(item, tuple):
            return f"[{','.join(setting(name, part) for part in item)}]"
        is_size = type(item) is int and (name in _EXTENTS or (item > _SMALL and item in extents))
        return size(item) if is_size else repr(item)

    lines = [
        f"{value.operator}.{value.output} {value.dtype} [{','.join(map(size, value.shape))}] "
        + " ".join(f"{name}={setting(name, item)}" for name, item in value.settings)
        for value in order
    ]
    return "\n".join([*lines, " ".join(str(numbers[id(value)]) for value in outputs)])


def _in_order(outputs: Sequence[Value]) -> list[Value]:
    """All values below `outputs`, operands first; without recursion, for graphs are deep."""
    order: list[Value] = []
    done: set[int] = set()
    waiting = list(reversed(outputs))
    while waiting:
        value = waiting[-1]
        missing = [operand for operand in _operands(value) if id(operand) not in done]
        if id(value) in done:
            waiting.pop()
        elif missing:
            waiting += reversed(missing)
        else:
            done.add(id(value))
            order.append(waiting.pop())
    return order


def _operands(value: Value) -> Iterator[Value]:
    return (leaf for leaf in leaves([item for _, item in value.settings]) if isinstance(leaf, Value))


def _sorted_operands(settings: dict[str, Any]) -> dict[str, Any]:
    """The same with both tensors in the order of their colours; `x + 2 * y` is no plain sum."""
    names = [name for name, item in settings.items() if isinstance(item, Value)]
    if len(names) != 2 or settings.get("alpha", 1) != 1:
        return settings
    ordered = sorted((settings[name] for name in names), key=lambda value: value.colour)
    return settings | dict(zip(names, ordered, strict=True))


def _colours(item: Any) -> Any:
    if isinstance(item, Value):
        return item.colour
    if isinstance(item, tuple):
        return [_colours(part) for part in item]
    return "size" if type(item) is int and item > _SMALL else item


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
