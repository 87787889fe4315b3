"""Loading and calling a reference program, and the shapes of what it takes and gives.

This is the part that executes hostile text; it runs only inside the confined child that
`evaluation.reference.fork_server` forks. Programs written for a GPU run unchanged on the CPU, or on the
`meta` device, which works out shapes without computing. Inputs and outputs may lie in lists, tuples and
dictionaries; here they are flat. What is not covered: inputs other than tensors and plain constants, and
outputs other than tensors.
"""

from __future__ import annotations

import inspect
import random
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import repeat as forever
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.problem import DTYPE_BYTES
from evaluation.reference.syntax import FUNCTION_NAME, MODEL_CLASS, ProgramError
from evaluation.reference.torch_modes import Redirect, WorkCounter, leaves, rebuilt, tensors_in

Named = dict[str, Tensor]
MODULE = "reference_program"
"""Module name that a program sees as its own `__name__`."""
_FEW = 1 << 18
"""Elements of inputs and parameters up to which a program is as soon run as its shapes are worked out."""
_META_SECONDS = 2.0
"""CPU time on `meta`, where an operator may take milliseconds: a loop over a sequence is faster for real."""


def execute(program: str) -> dict[str, Any]:
    """Run the text of `program` as a module of its own and return its namespace."""
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    exec(compile(program, f"<{MODULE}>", "exec"), module.__dict__)
    return module.__dict__


def seed_everything(seed: int) -> None:
    """Seed every generator that a program may draw its inputs from."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed notes a traceback for every GPU to come
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@dataclass
class Loaded:
    """A program ready to be called: its function, and the module behind it if it has parameters."""

    namespace: dict[str, Any]
    function: Callable[..., Any]
    model: nn.Module | None

    arguments: list[Any] = field(default_factory=list)
    """How the inputs drawn last lie in the function's arguments, without their values."""

    def names(self) -> list[str]:
        """Names of the inputs: the function's argument names, kept apart from the parameters'."""
        function = self.function if self.model is None else self.model.forward
        taken = list(self.state())
        for name, argument in zip(input_names(function, len(self.arguments)), self.arguments, strict=True):
            count = len(leaves(argument))
            parts = [f"{name}{index}" for index in range(count)] if argument is not None else [name]
            taken += [f"{part}_input" if part in taken else part for part in parts]
        return taken[len(self.state()) :]

    def draw(self) -> list[Any]:
        """Inputs by the program's own `get_inputs`: tensors, made contiguous, and plain constants."""
        drawn = self.namespace["get_inputs"]()
        drawn = [drawn] if isinstance(drawn, Tensor) else list(drawn)
        self.arguments = rebuilt(drawn, forever(None))
        values = leaves(drawn)
        for value in values:
            if not isinstance(value, Tensor | int | float | str | None):
                raise ProgramError(f"`get_inputs` returns a {type(value).__name__}; it must return tensors")
        return [value.detach().contiguous() if isinstance(value, Tensor) else value for value in values]

    def arranged(self, values: Sequence[Any]) -> list[Any]:
        """The function's arguments that hold `values`."""
        return list(rebuilt(self.arguments, iter(values)))

    def state(self) -> Named:
        """Parameters and buffers by C names, as they are now."""
        if self.model is None:
            return {}
        return {
            name.replace(".", "_"): tensor.detach().clone()
            for name, tensor in self.model.state_dict().items()
        }

    def call(self, inputs: Sequence[Any]) -> Named:
        """Outputs for `inputs` (not modified), by the names that kernels see."""
        results = [value for value in leaves(self._result(inputs)) if value is not None]
        if not results or not all(isinstance(value, Tensor) for value in results):
            raise ProgramError(
                "the program must return a tensor, or tensors in lists, tuples or dictionaries"
            )
        names = ["out"] if len(results) == 1 else [f"out{index}" for index in range(len(results))]
        return {name: value.detach().contiguous() for name, value in zip(names, results, strict=True)}

    def _result(self, inputs: Sequence[Any], with_gradients: bool = False) -> Any:
        """What the function returns; gradients are recorded only for a program that cannot do without."""
        copies = [value.clone() if isinstance(value, Tensor) else value for value in inputs]
        try:
            with torch.set_grad_enabled(with_gradients):
                return self.function(*self.arranged(copies))
        except RuntimeError as error:
            if with_gradients or "does not require grad" not in str(error):
                raise
        if self.model is not None:
            self.model.zero_grad()
        return self._result(inputs, with_gradients=True)


def load(program: str) -> Loaded:
    """Execute `program` and build its module, if it is of dialect `model`."""
    namespace = execute(program)
    if FUNCTION_NAME in namespace:
        return Loaded(namespace, namespace[FUNCTION_NAME], None)
    arguments = namespace["get_init_inputs"]() if "get_init_inputs" in namespace else []
    arguments = list(arguments) if isinstance(arguments, list | tuple) else [arguments]
    model = namespace[MODEL_CLASS](*arguments)
    return Loaded(namespace, model, model)


def input_names(function: Callable[..., Any], count: int) -> list[str]:
    """Argument names of `function`, one for each of `count` arguments."""
    names: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{index}" for index in range(count - len(names))]
        elif parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            names.append(parameter.name)
    if len(names) < count:
        raise ProgramError(f"`get_inputs` returns {count} values, but the function takes {len(names)}")
    return names[:count]


def named_inputs(loaded: Loaded, values: Sequence[Any]) -> Named:
    """The tensors among `values` by argument name; everything else is a constant of the program."""
    pairs = zip(loaded.names(), values, strict=True)
    return {name: value for name, value in pairs if isinstance(value, Tensor)}


@contextmanager
def widened(program: str, loaded: Loaded, state: Named) -> Iterator[Loaded]:
    """The same program in double precision; a module keeps its parameters' values exactly.

    A module's tensors are widened where they are, not in a copy: a lambda in it would still see the old ones.
    """
    if loaded.model is None:
        yield replace(load(program), arguments=loaded.arguments)
        return
    install(loaded.model, state)
    holders = [part for module in loaded.model.modules() for part in (vars(module), module._buffers)]
    kept = [(holder, dict(holder)) for holder in holders]
    tensors = [value for holder in holders for value in tensors_in(holder) if value.is_floating_point()]
    narrow = {id(value): (value, value.data) for value in tensors}
    try:
        for value, data in narrow.values():
            value.data = data.double()
        yield loaded
    finally:
        for value, data in narrow.values():
            value.data = data
        for holder, content in kept:
            holder.clear()
            holder.update(content)


def install(model: nn.Module, state: Named) -> None:
    """Give `model` the parameter and buffer values of `state` (keyed by C names)."""
    with torch.no_grad():
        for name, tensor in model.state_dict(keep_vars=True).items():
            tensor.copy_(state[name.replace(".", "_")])


def dtype_name(dtype: torch.dtype) -> str:
    """`float32` for `torch.float32`; raises `ProgramError` for a dtype that kernels cannot take."""
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPE_BYTES:
        raise ProgramError(f"the program uses {name} tensors; supported are {', '.join(DTYPE_BYTES)}")
    return name


def specifications(tensors: Named) -> list[dict[str, Any]]:
    """Name, shape and dtype of each tensor, ready for JSON."""
    return [
        {"name": name, "shape": list(tensor.shape), "dtype": dtype_name(tensor.dtype)}
        for name, tensor in tensors.items()
    ]


def survey(program: str, limit: int | None) -> dict[str, Any]:
    """Shapes and floating-point operations of `program`, computing nothing where much would be computed.

    A small program is simply run. Others are tried on `meta`, then with a module that was made for real;
    where neither works (an operator without a meta version, a branch on values, a long loop), all of it is
    run for real, if the inputs hold at most `limit` elements.
    """
    elements = count_elements(program)
    if limit is not None and elements is not None and sum(elements) <= _FEW:
        return _shapes(program, "cpu", "cpu")
    try:
        return _shapes(program, "meta", "meta")
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    with suppress(Exception):
        return _shapes(program, "cpu", "meta")
    inputs = 0 if elements is None else elements[0]
    if limit is None or inputs > limit:
        raise ProgramError(
            f"its shapes cannot be worked out without running it at {inputs} elements ({reason})"
        )
    return _shapes(program, "cpu", "cpu")


def count_elements(program: str) -> tuple[int, int] | None:
    """Elements of all inputs and of all parameters; `None` where only making them would tell."""
    try:
        with torch.device("meta"), Redirect("meta"):
            loaded = load(program)
            return sum(value.numel() for value in tensors_in(loaded.draw())), sum(
                value.numel() for value in loaded.state().values()
            )
    except Exception:
        return None


def _shapes(program: str, making: str, computing: str) -> dict[str, Any]:
    """What comes of making the module on one device and computing on another."""
    seed_everything(0)
    with torch.device(making), Redirect(making):
        loaded = load(program)
    if loaded.model is not None:
        loaded.model.to(computing)
    with (
        torch.device(computing),
        Redirect(computing, shapes=True),
        torch.backends.mkldnn.flags(enabled=False),
    ):
        values = loaded.draw()
        state = loaded.state()
        with WorkCounter(_META_SECONDS if computing == "meta" else None) as counter:
            outputs = loaded.call(values)
    return {
        "inputs": specifications(named_inputs(loaded, values)),
        "parameters": specifications(state),
        "outputs": specifications(outputs),
        "flops": counter.flops,
    }


def to_bytes(tensor: Tensor) -> bytes:
    """Raw little-endian elements; bfloat16 as its bit patterns."""
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.view(torch.int16)
    return bytes(tensor.contiguous().numpy().tobytes())
