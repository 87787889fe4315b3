"""Running a reference program on drawn inputs: what comes out in float64, and how exactly.

As `evaluation.reference.execute`, this executes hostile text and runs only in a confined child, or in a
worker on a GPU. A draw is kept only where the program can be judged on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluation.reference import sensitivity
from evaluation.reference.draw import Draw, Kind
from evaluation.reference.execute import (
    Loaded,
    Named,
    dtype_name,
    install,
    load,
    named_inputs,
    seed_everything,
    widened,
)
from evaluation.reference.inputs import Far, Generator, Width, attempts, is_exact, redrawn, wider
from evaluation.reference.sensitivity import Bounds, Evaluate
from evaluation.reference.syntax import ProgramError
from evaluation.reference.torch_modes import Redirect
from evaluation.tolerance import excess

DISAGREEMENT = 0.05
"""A result further from the float64 one than this share of the largest value cannot be judged."""
_UNDETERMINED = 0.5
"""Most of an integer output that may be undetermined for a problem's own inputs."""
_LOOSE, _INACCURATE = 0.05, 1e-3
"""Most of a wider draw's elements that may be so; see `evaluation.reference.sensitivity.Usefulness`."""
_LOOSE_FAR = 0.3
"""The same where some lie far from zero: a fault that shows there is a gross one."""

_SHORT = (torch.float16, torch.bfloat16)


@dataclass
class Content:
    """One draw of everything that a program reads."""

    program: str
    loaded: Loaded
    values: list[Any]
    """Arguments of the function: tensors and plain numbers."""
    state: Named
    """Parameters and buffers, before the program runs (it may write to running statistics)."""
    exact: list[bool]
    """Which values are labels, masks and the like, that no rounding moves."""
    seed: int

    @property
    def inputs(self) -> Named:
        """The tensors among the values, by argument name."""
        return named_inputs(self.loaded, self.values)

    @property
    def tensors(self) -> Named:
        """All that a kernel reads: inputs and parameters."""
        return self.inputs | self.state

    def without_values(self) -> Content:
        """The same without its inputs: they may take much memory."""
        return replace(self, values=[], exact=[])

    def with_other_values(self, seed: int, device: str) -> Content:
        """Other inputs by the program itself, under the same parameters."""
        seed_everything(seed)
        with Redirect(device):
            values = self.loaded.draw()
        return replace(self, values=values, exact=[is_exact(value) for value in values], seed=seed)

    def outputs(self, device: str = "cpu") -> Named:
        """What the program gives in its own precision."""
        if self.loaded.model is not None:
            install(self.loaded.model, self.state)
        with Redirect(device):
            return self.loaded.call(self.values)

    def outputs_in_steps(self, outputs: Named, device: str = "cpu") -> Named:
        """What it gives where attention rounds its weights to a precision of 16 bits, as kernels of it do.

        On a CPU PyTorch does so only if asked. In other precisions: the same `outputs`.
        """
        if not any(value.dtype in _SHORT for value in outputs.values()):
            return outputs
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
        with sdpa_kernel(SDPBackend.MATH):
            return self.outputs(device)

    @contextmanager
    def wide(self, device: str = "cpu") -> Iterator[tuple[Evaluate, list[Any], Named]]:
        """The program in float64, with the values and parameters to call it on."""
        with ExitStack() as stack:
            with _in_double(device):
                loaded = stack.enter_context(widened(self.program, self.loaded, self.state))

            def evaluate(values: Sequence[Any], state: Named) -> Named:
                with _in_double(device):
                    if loaded.model is not None:
                        install(loaded.model, state)
                    return loaded.call(values)

            state = {name: _double(tensor) for name, tensor in self.state.items()}
            yield evaluate, [_double(value) for value in self.values], state

    def run(self, device: str = "cpu", *, bounded: bool = True) -> Run:
        """Run it in its own precision and in float64.

        `bounded`: find how exactly the outputs are determined, too, where float64 is not too far off.
        """
        outputs = self.outputs(device)
        with self.wide(device) as (evaluate, values, state):
            expected = _expected(evaluate(values, state), outputs)
            result = Run(self, outputs, expected)
            in_steps: Named = {}
            for first_of_equals in (False, True) if bounded and result.is_sound else ():
                if result.is_open:
                    in_steps = in_steps or self.outputs_in_steps(outputs, device)
                    result.bounds = sensitivity.bounds(
                        evaluate, values, state, expected, outputs, in_steps, self.exact, self.seed,
                        first_of_equals=first_of_equals,
                    )  # fmt: skip
        return result


@dataclass
class Run:
    """One execution with fresh inputs, in the program's own precision and in float64."""

    content: Content
    outputs: Named
    """In the declared dtype, as the program computes them."""
    expected: Named
    """Floating-point outputs in float64; integers and booleans as declared."""
    bounds: Bounds | None = None
    """How exactly they are determined; `None` where they cannot be judged at all."""

    @property
    def inputs(self) -> Named:
        """The tensors among the inputs."""
        return self.content.inputs

    @property
    def parameters(self) -> Named:
        """Parameters and buffers as they were before."""
        return self.content.state

    @property
    def finite(self) -> bool:
        """Whether nothing is NaN, and infinity is where both precisions give it."""
        return all(
            bool(((value.isfinite() & want.isfinite()) | (value.double() == want)).all())
            for value, want in ((value, self.expected[name]) for name, value in self.outputs.items())
        )

    @property
    def is_sound(self) -> bool:
        """Whether it is finite, and both precisions agree."""
        return self.finite and self.disagreement() is None

    @property
    def has_infinities(self) -> bool:
        """Whether an output is infinite somewhere."""
        return any(bool(value.isinf().any()) for value in self.expected.values())

    def bounded(self) -> Run:
        """The same without its inputs, with rough bounds where there are none."""
        bounds = self.bounds or sensitivity.rough_bounds(self.expected)
        return replace(self, content=self.content.without_values(), bounds=bounds)

    @property
    def nbytes(self) -> int:
        """Memory held by the outputs and what is known of them."""
        bounds = [self.bounds.scale, self.bounds.slack] if self.bounds else []
        return sum(
            value.nbytes for named in (self.outputs, self.expected, *bounds) for value in named.values()
        )

    def excess(self, name: str, got: Tensor, tolerance: float) -> float:
        """The largest error of an output, as a fraction of what is allowed."""
        assert self.bounds is not None
        dtype = dtype_name(got.dtype)
        values = got.double() if got.is_floating_point() else got
        want, scale, slack = self.expected[name], self.bounds.scale[name], self.bounds.slack[name]
        if got.is_floating_point():
            want = want.double()
        found = excess(torch, dtype, values, want, scale, slack, tolerance)
        return float(found.max()) if found.numel() else 0.0

    def errors(self) -> dict[str, float]:
        """Largest distance of the program's own result from the float64 one, for each output."""
        return {name: _distance(value, self.expected[name]) for name, value in self.outputs.items()}

    def disagreement(self) -> str | None:
        """The first output whose two results are too far apart to judge anything by, if there is one.

        Integers among which rounding or ties decide are another matter (`undetermined`).
        """
        for name, error in self.errors().items():
            if self.outputs[name].is_floating_point() and error > DISAGREEMENT * largest(self.expected[name]):
                return name
        return None

    def undetermined(self) -> str | None:
        """The first output most of which follows from rounding or from ties, if there is one."""
        shares = self._usefulness()
        return next((name for name, found in shares.items() if found.loose > _UNDETERMINED), None)

    @property
    def is_open(self) -> bool:
        """Whether it is not known how exactly the outputs are determined, or an integer one is not at all."""
        return self.bounds is None or any(
            bool(slack.isinf().double().mean() > _LOOSE) and not self.outputs[name].is_floating_point()
            for name, slack in self.bounds.slack.items()
        )

    def is_useful(self, most: float = _LOOSE) -> bool:
        """Whether a wider draw tells right kernels from wrong ones, with `most` of it loose."""
        constant = all(bool((value == value.flatten()[:1]).all()) for value in self.expected.values())
        single = all(value.numel() == 1 for value in self.expected.values())
        return (single or not constant) and all(
            found.loose <= most and found.inaccurate <= _INACCURATE for found in self._usefulness().values()
        )

    def _usefulness(self) -> dict[str, sensitivity.Usefulness]:
        assert self.bounds is not None
        return {
            name: sensitivity.usefulness(
                dtype_name(self.outputs[name].dtype), want, self.outputs[name],
                self.bounds.scale[name], self.bounds.slack[name],
            )
            for name, want in self.expected.items()
        }  # fmt: skip


@contextmanager
def _in_double(device: str) -> Iterator[None]:
    """float64 where the program says float32."""
    torch.set_default_dtype(torch.float64)
    try:
        with Redirect(device, double=True):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def largest(value: Tensor) -> float:
    """The largest absolute finite value, 0 for an empty tensor."""
    return float(value.double().nan_to_num(0.0, 0.0, 0.0).abs().max()) if value.numel() else 0.0


def _distance(left: Tensor, right: Tensor) -> float:
    return largest(torch.where(left == right, 0.0, left.double() - right.double()))


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _expected(wide: Named, outputs: Named) -> Named:
    if [value.shape for value in wide.values()] != [value.shape for value in outputs.values()]:
        raise ProgramError("the program's output shapes depend on the precision of its inputs")
    return {
        name: wide[name].double() if value.is_floating_point() else wide[name].to(value.dtype)
        for name, value in outputs.items()
    }


class Source:
    """A program under one seed, to be drawn from: always the same numbers."""

    def __init__(self, program: str, seed: int, device: str = "cpu") -> None:
        self._program, self._seed, self._device = program, seed, device
        with Redirect(device):
            seed_everything(seed)
            self.loaded = load(program)
            self._own = self.loaded.draw()
        self._original = self.loaded.state()
        model = self.loaded.model
        self._buffers = {name.replace(".", "_") for name, _ in model.named_buffers()} if model else set()

    def draw(self, width: Width) -> Content:
        """Inputs and parameters of one kind."""
        generator = Generator(self._seed, self._device)
        own = self._own
        values = own if width.kind is Kind.OWN else wider(own, self._again, width, generator)
        state = redrawn(self._original, self._buffers, width, generator)
        exact = [is_exact(value) for value in own]
        if self.loaded.model is not None:
            install(self.loaded.model, state)
            state = self.loaded.state()  # tied parameters hold the same values
        return Content(self._program, self.loaded, values, state, exact, self._seed)

    @cached_property
    def _again(self) -> list[Any]:
        """Other inputs by the program itself."""
        with Redirect(self._device):
            return self.loaded.draw()


@lru_cache(maxsize=4)
def run(program: str, draw: Draw, *, bounded: bool = True) -> Run:
    """Run `program` on one draw of inputs and parameters, not `bounded` only where nothing is judged by it.

    A wider draw that is of no use is replaced by a tamer one, at last by the program's own inputs, with
    buffers as the program makes them where even those cannot be judged.
    """
    source = Source(program, draw.seed)
    for width in attempts(draw.kind, program):
        content = source.draw(width)
        if width.far is Far.ALL and any(value.numel() > 1 for value in content.outputs().values()):
            continue
        result = content.run(bounded=bounded)
        if result.is_sound and (width.kind is Kind.OWN or _is_kept(result, source, width)):
            break
    return result


def _is_kept(result: Run, source: Source, width: Width) -> bool:
    """Infinities belong to a wider draw only if the program's own inputs give some, too."""
    belong = not result.has_infinities or source.draw(Width(Kind.OWN)).run().has_infinities
    return belong and result.is_useful(_LOOSE if width.far is Far.NOTHING else _LOOSE_FAR)


def trial(program: str, draw: Draw) -> dict[str, Named]:
    """Inputs, expected outputs and how exactly they are determined, by group."""
    result = run(program, draw)
    if result.bounds is None:
        raise ProgramError("its outputs cannot be judged for its own inputs (not finite, or too inexact)")
    return {
        "inputs": result.inputs | result.parameters,
        "expected": result.expected,
        "scale": {name: value.float() for name, value in result.bounds.scale.items()},
        "slack": {name: value.float() for name, value in result.bounds.slack.items()},
    }


def ignoring(program: str, first: Draw, second: Draw) -> dict[str, Named]:
    """What should come out of the first draw if one input were that of the second, for each input.

    By name of the input or parameter. A kernel that never reads this input cannot give better than that.
    """
    own, other = run(program, first), run(program, second)
    loaded, values, state = own.content.loaded, own.content.values, own.content.state
    names = loaded.names()
    found: dict[str, Named] = {}
    for name in (*own.inputs, *own.parameters):
        inputs = own.inputs | {name: other.inputs[name]} if name in own.inputs else own.inputs
        replaced = state if name in own.inputs else state | {name: other.parameters[name]}
        positional = [inputs.get(key, value) for key, value in zip(names, values, strict=True)]
        content = replace(own.content, values=positional, state=replaced)
        with content.wide() as (evaluate, wide_values, wide_state):
            found[name] = _expected(evaluate(wide_values, wide_state), own.outputs)
    return found
