"""Running a reference program: shapes, degeneracy, and expected values in double precision.

This is the part that executes hostile text; it runs only inside the confined child that
`evaluation.reference_worker` forks. Programs written for a GPU run unchanged on the CPU, or on the
`meta` device, which works out shapes without computing. What is not covered: programs whose
inputs are not tensors or plain numbers, and outputs other than tensors.
"""

from __future__ import annotations

import copy
import inspect
import random
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.problem import DTYPE_BYTES
from evaluation.reference_modes import Redirect, WorkCounter, tensors_in
from evaluation.syntax import FUNCTION_NAME, MODEL_CLASS, ProgramError

Named = dict[str, Tensor]
MODULE = "reference_program"
"""Module name that a program sees as its own `__name__`."""
DISAGREEMENT = 0.05
"""A result further from the float64 one than this share of the largest value cannot be judged."""


def execute(program: str) -> dict[str, Any]:
    """Run the text of `program` as a module of its own and return its namespace."""
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    exec(compile(program, f"<{MODULE}>", "exec"), module.__dict__)
    return module.__dict__


def seed_everything(seed: int) -> None:
    """Seed every generator that a program may draw its inputs from."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@dataclass
class Loaded:
    """A program ready to be called: its function, and the module behind it if it has parameters."""

    namespace: dict[str, Any]
    function: Callable[..., Any]
    model: nn.Module | None

    def names(self, count: int) -> list[str]:
        """Names of `count` inputs: the function's argument names, kept apart from the parameters'."""
        function = self.function if self.model is None else self.model.forward
        return input_names(function, count, tuple(self.state()))

    def draw(self) -> list[Any]:
        """Inputs by the program's own `get_inputs`: tensors, made contiguous, and plain numbers."""
        values = self.namespace["get_inputs"]()
        values = [values] if isinstance(values, Tensor) else list(values)
        for value in values:
            if not isinstance(value, Tensor | int | float | bool):
                raise ProgramError(f"`get_inputs` returns a {type(value).__name__}; it must return tensors")
        return [value.detach().contiguous() if isinstance(value, Tensor) else value for value in values]

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
        arguments = [value.clone() if isinstance(value, Tensor) else value for value in inputs]
        with torch.no_grad():
            result = self.function(*arguments)
        if isinstance(result, Mapping):
            result = list(result.values())
        results = list(result) if isinstance(result, list | tuple) else [result]
        if not results or not all(isinstance(value, Tensor) for value in results):
            raise ProgramError("the program must return a tensor or a list of tensors")
        names = ["out"] if len(results) == 1 else [f"out{index}" for index in range(len(results))]
        return {name: value.detach().contiguous() for name, value in zip(names, results, strict=True)}


def load(program: str) -> Loaded:
    """Execute `program` and build its module, if it is of dialect `model`."""
    namespace = execute(program)
    if FUNCTION_NAME in namespace:
        return Loaded(namespace, namespace[FUNCTION_NAME], None)
    arguments = namespace["get_init_inputs"]() if "get_init_inputs" in namespace else []
    arguments = list(arguments) if isinstance(arguments, list | tuple) else [arguments]
    model = namespace[MODEL_CLASS](*arguments)
    return Loaded(namespace, model, model)


def input_names(function: Callable[..., Any], count: int, taken: Sequence[str] = ()) -> list[str]:
    """Argument names of `function`, one for each of `count` inputs; `taken` ones get a suffix."""
    names: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{index}" for index in range(count - len(names))]
        elif parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            names.append(parameter.name)
    if len(names) < count:
        raise ProgramError(f"`get_inputs` returns {count} values, but the function takes {len(names)}")
    return [f"{name}_input" if name in taken else name for name in names[:count]]


def named_inputs(loaded: Loaded, values: Sequence[Any]) -> Named:
    """The tensors among `values` by argument name; plain numbers are constants of the program."""
    names = loaded.names(len(values))
    return {name: value for name, value in zip(names, values, strict=True) if isinstance(value, Tensor)}


def redraw(state: Named, buffers: set[str]) -> Named:
    """Random values for every floating-point parameter, so that none can be neglected.

    A constant tensor (weights of 1, biases of 0) is spread around its value without a change of
    sign, others keep their range or their mean and deviation; masks and integers stay as they are.
    """
    return {name: _redrawn(tensor, name in buffers) for name, tensor in state.items()}


def _redrawn(tensor: Tensor, is_buffer: bool) -> Tensor:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return tensor
    wide = tensor.double()
    low, high = wide.min(), wide.max()
    if is_buffer and low != high and wide.unique().numel() == 2:
        return tensor
    uniform = torch.rand(tensor.shape, dtype=torch.float64)
    if low == high:
        drawn = uniform - 0.5 if low == 0 else low * (0.5 + uniform)
    elif low >= 0:
        drawn = low + uniform * (high - low)
    else:
        drawn = wide.mean() + wide.std() * torch.randn(tensor.shape, dtype=torch.float64)
    return drawn.to(tensor.dtype)


def widened(program: str, loaded: Loaded, state: Named) -> Loaded:
    """The same program in double precision; a module keeps its parameters' values exactly."""
    if loaded.model is None:
        return load(program)
    model = copy.deepcopy(loaded.model)
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.dtype is torch.float32:
                setattr(module, name, value.double())
    install(model.double(), {name: _double(tensor) for name, tensor in state.items()})
    return Loaded(loaded.namespace, model, model)


def install(model: nn.Module, state: Named) -> None:
    """Give `model` the parameter and buffer values of `state` (keyed by C names)."""
    with torch.no_grad():
        for name, tensor in model.state_dict(keep_vars=True).items():
            tensor.copy_(state[name.replace(".", "_")])


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


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
    """Shapes and floating-point operations of `program`, computing nothing where that is possible.

    On `meta` first; where an operator has no meta version, for real, if the inputs hold at most
    `limit` elements altogether.
    """
    try:
        return _shapes(program, "meta")
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    with torch.device("meta"), Redirect("meta"):
        elements = sum(value.numel() for value in tensors_in(load(program).draw()))
    if limit is None or elements > limit:
        raise ProgramError(
            f"its shapes cannot be worked out without running it at {elements} elements ({reason})"
        )
    return _shapes(program, "cpu")


def _shapes(program: str, device: str) -> dict[str, Any]:
    seed_everything(0)
    with torch.device(device), Redirect(device):
        loaded = load(program)
        values = loaded.draw()
        state = loaded.state()
        with WorkCounter() as counter:
            outputs = loaded.call(values)
    return {
        "inputs": specifications(named_inputs(loaded, values)),
        "parameters": specifications(state),
        "outputs": specifications(outputs),
        "flops": counter.flops,
    }


@dataclass
class Run:
    """One execution with fresh inputs, in the program's own precision and in float64."""

    inputs: Named
    parameters: Named
    outputs: Named
    """In the declared dtype, as the program computes them."""
    expected: Named
    """Floating-point outputs in float64; integers and booleans as declared."""

    @property
    def finite(self) -> bool:
        """Whether every output is finite in either precision."""
        return all(
            bool(value.isfinite().all()) for value in [*self.outputs.values(), *self.expected.values()]
        )

    def errors(self) -> dict[str, float]:
        """Largest distance of the program's own result from the float64 one, for each output."""
        return {name: _distance(value, self.expected[name]) for name, value in self.outputs.items()}

    def disagreement(self) -> str | None:
        """The first output whose two results are too far apart to judge anything by, if there is one."""
        for name, error in self.errors().items():
            if error > DISAGREEMENT * largest(self.expected[name]):
                return name
        return None


def largest(value: Tensor) -> float:
    """The largest absolute value, 0 for an empty tensor."""
    return float(value.double().abs().max()) if value.numel() else 0.0


def _distance(left: Tensor, right: Tensor) -> float:
    return largest((left.double() - right.double()).nan_to_num(nan=float("inf")))


def run(program: str, seed: int, families: Sequence[str | None] = ()) -> Run:
    """Run `program` on inputs and parameters drawn from `seed`.

    `families` names, input by input, the distribution that may be varied (`normal`, `uniform` or
    none). A draw whose results are not finite or too inexact is replaced by a tamer one: inputs as
    the program draws them, then buffers as the program makes them.
    """
    with Redirect("cpu"):
        loaded, values, drawn, tame = _draw(program, seed)
        attempts = [(_varied(values, families), drawn), (values, drawn), (values, tame)]
        for inputs, state in attempts[0 if any(families) else 1 :]:
            result = _run_on(program, loaded, inputs, state)
            if result.finite and result.disagreement() is None:
                break
    return result


def repeat(program: str, seed: int, noise: int) -> Named:
    """Outputs for the inputs of `run(program, seed)` once more; `noise` seeds what the function draws."""
    with Redirect("cpu"):
        loaded, values, drawn, _ = _draw(program, seed)
        if loaded.model is not None:
            install(loaded.model, drawn)
        seed_everything(noise)
        return loaded.call(values)


def _draw(program: str, seed: int) -> tuple[Loaded, list[Any], Named, Named]:
    """The program, its inputs, its parameters redrawn, and the same with buffers as they were."""
    seed_everything(seed)
    loaded = load(program)
    values = loaded.draw()
    original = loaded.state()
    buffers = {name.replace(".", "_") for name, _ in loaded.model.named_buffers()} if loaded.model else set()
    drawn = redraw(original, buffers)
    return loaded, values, drawn, {name: (original if name in buffers else drawn)[name] for name in drawn}


def _run_on(program: str, loaded: Loaded, values: Sequence[Any], state: Named) -> Run:
    if loaded.model is not None:
        install(loaded.model, state)
        state = loaded.state()
    outputs = loaded.call(values)
    torch.set_default_dtype(torch.float64)
    try:
        with Redirect("cpu", double=True):
            wide = widened(program, loaded, state).call([_double(value) for value in values])
    finally:
        torch.set_default_dtype(torch.float32)
    if [value.shape for value in wide.values()] != [value.shape for value in outputs.values()]:
        raise ProgramError("the program's output shapes depend on the precision of its inputs")
    expected = {
        name: wide[name].double() if value.is_floating_point() else wide[name].to(value.dtype)
        for name, value in outputs.items()
    }
    return Run(named_inputs(loaded, values), state, outputs, expected)


def _varied(values: Sequence[Any], families: Sequence[str | None]) -> list[Any]:
    """Scale and shift normal inputs, and narrow uniform ones to a part of their range."""
    varied = list(values)
    for index, family in enumerate(families[: len(values)]):
        value = values[index]
        scale, shift = random.uniform(0.5, 2.0), random.uniform(-1.5, 1.5)
        if family == "normal" and isinstance(value, Tensor):
            varied[index] = scale * (value + shift)
        if family == "uniform" and isinstance(value, Tensor):
            low, high = sorted((random.uniform(0, 0.4), random.uniform(0.6, 1)))
            varied[index] = low + (high - low) * value
    return varied


def trial(program: str, seed: int, families: Sequence[str | None]) -> tuple[dict[str, Any], dict[str, Named]]:
    """Inputs, expected outputs and baseline errors under `seed`, as JSON and tensors by group."""
    result = run(program, seed, families)
    groups = {"inputs": result.inputs | result.parameters, "expected": result.expected}
    return {"baseline_error": result.errors()}, groups


def ignoring(
    program: str, seeds: tuple[int, int], families: tuple[Sequence[str | None], Sequence[str | None]]
) -> dict[str, Named]:
    """What should come out under the first seed if one input were that of the second, for each input.

    By name of the input or parameter. A kernel that never reads this input cannot give better than that.
    """
    own, other = (run(program, seed, family) for seed, family in zip(seeds, families, strict=True))
    with Redirect("cpu"):
        loaded, values, _, _ = _draw(program, seeds[0])
        names = loaded.names(len(values))
        found: dict[str, Named] = {}
        for name in (*own.inputs, *own.parameters):
            inputs = own.inputs | {name: other.inputs[name]} if name in own.inputs else own.inputs
            state = own.parameters if name in own.inputs else own.parameters | {name: other.parameters[name]}
            positional = [inputs.get(key, value) for key, value in zip(names, values, strict=True)]
            found[name] = _run_on(program, loaded, positional, state).expected
    return found


def to_bytes(tensor: Tensor) -> bytes:
    """Raw little-endian elements; bfloat16 as its bit patterns."""
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.view(torch.int16)
    return bytes(tensor.contiguous().numpy().tobytes())
