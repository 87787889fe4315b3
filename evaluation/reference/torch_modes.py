"""How torch is bent while a reference program runs: devices, precision, and counting of work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

#: Operators that move or make data without computing.
_FREE = frozenset({
    "clone", "copy", "copy_", "_to_copy", "detach", "lift_fresh", "cat", "stack", "empty", "empty_like",
    "empty_strided", "zeros", "zeros_like", "ones", "ones_like", "full", "full_like", "arange",
    "scalar_tensor", "fill_", "zero_",
})  # fmt: skip


_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})


class Redirect(TorchFunctionMode):
    """Sends what a program puts on a GPU to `device`; with `double`, turns float32 into float64.

    Where `shapes` are all that is asked for, a recurrent layer gives them at once, without its steps.
    """

    def __init__(self, device: str, double: bool = False, shapes: bool = False) -> None:
        super().__init__()
        self._device = torch.device(device)
        self._double = double
        self._shapes = shapes

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (torch.Tensor.cuda, torch.Tensor.cpu, torch.Tensor.pin_memory):
            return args[0]
        if func is torch.Tensor.float and self._double:
            func = torch.Tensor.double
        recurrent = self._shapes and getattr(func, "__name__", "") in _RECURRENT
        if recurrent and len(args) == 9 and isinstance(args[3], bool):  # else of sequences that are packed
            return _recurrent(args[0], args[1], args[2], args[7])
        arguments = tuple(self._translate(argument) for argument in args)
        return func(*arguments, **{name: self._translate(value) for name, value in (kwargs or {}).items()})

    def _translate(self, value: Any) -> Any:
        if value is torch.float32 and self._double:
            return torch.float64
        if isinstance(value, torch.device) or (isinstance(value, str) and value.startswith("cuda")):
            return self._device
        return value


def _recurrent(values: Tensor, state: Any, weights: Sequence[Tensor], both_ways: bool) -> Any:
    """Outputs and last states of a recurrent layer, and the products of all its steps in one."""
    states = [state] if isinstance(state, Tensor) else list(state)
    for weight in weights:
        if weight.ndim == 2:
            torch.mm(values.new_empty(values.shape[:-1].numel(), weight.shape[1]), weight.t())
    output = values.new_empty(*values.shape[:-1], states[0].shape[-1] * (2 if both_ways else 1))
    return output, *(torch.empty_like(one) for one in states)


class WorkCounter(TorchDispatchMode):
    """Counts floating-point operations: torch's formulas where it has one, a window per output for
    pooling, one per element of the largest operand otherwise; views are free."""

    def __init__(self, seconds: float | None = None) -> None:
        """`seconds` of CPU time end the counting with a `TimeoutError`."""
        super().__init__()
        self.flops = 0
        self._ends = None if seconds is None else time.process_time() + seconds

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to skip torch.compile's compiler, which never comes here, torch would import all of it."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if self._ends is not None and time.process_time() > self._ends:
            raise TimeoutError("it takes too many steps")
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += int(formula(*args, **(kwargs or {}), out_val=result))
        elif not func.is_view and func._overloadpacket.__name__ not in _FREE:
            elements = [value.numel() for value in tensors_in((args, result))]
            self.flops += max(elements, default=0) * _window(func, args)
        return result


def _window(func: Any, args: tuple) -> int:
    """Elements that one output of a pooling operator reads; 1 for any other operator."""
    name = func._overloadpacket.__name__
    if "pool" not in name or "adaptive" in name or len(args) < 2:
        return 1
    return prod(args[1]) if isinstance(args[1], list | tuple) else 1


def leaves(value: Any) -> list[Any]:
    """What is in `value`, however deep in lists, tuples and dictionaries, in order."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list | tuple) else [value]


def rebuilt(value: Any, flat: Iterator[Any]) -> Any:
    """`value` with its leaves replaced by those that come from `flat`."""
    if isinstance(value, Mapping):
        return {key: rebuilt(item, flat) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return next(flat)
    items = [rebuilt(item, flat) for item in value]
    if isinstance(value, list):
        return items
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in `value`, however deep."""
    return [leaf for leaf in leaves(value) if isinstance(leaf, Tensor)]
