"""Proves that a mutant is no answer, without the judge: run on fibers, compared with PyTorch in float64.

A witness is one of: an output that is further from the reference than TOLERANCE allows, at some sizes, on
some inputs, in some order of threads, or with some contents of unwritten memory; a run that crashes, never
ends, or writes outside its buffers; a launch that CUDA refuses. Where the original itself is not well within
the tolerance, nothing counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from tests.benchmarks.judge.interpreter import Ending, Interpreter, Job, Order, Outcome, Trial
from tests.benchmarks.judge.interpreter import Program as Compiled
from tests.benchmarks.judge.launches import Plan, plan
from tests.benchmarks.judge.programs import Program, Sizes

TOLERANCE = {torch.float32: 3e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Error beyond which an answer is wrong, as a share of the expected value plus the output's own scale."""
_ORIGINAL_SHARE = 0.25
"""How much of the tolerance the original may use where a difference counts."""
_NAN, _LARGE, _NEGATIVE = 0xFFFFFFFF, 0x7149F2CA, 0xF149F2CA
_PLAIN = (Trial(fill=_NAN), Trial(order=Order.BACKWARD, fill=_LARGE, at_end=False), Trial(fill=_NEGATIVE))
_ORDERS = (Order.PRIORITIES, Order.WARP_PRIORITIES, Order.RANDOM)
_MIXED = tuple(Trial(seed=seed, order=order, fill=_LARGE) for seed in (1, 2) for order in _ORDERS)
_WEAK = tuple(replace(trial, weak=True) for trial in _MIXED)
"""For kernels with fences."""
_SIZES_OF_ALL_KINDS = 2
"""At how many of a program's sizes inputs of other kinds than its own are tried."""
_MOST_MIXED = 7_000
"""Mixed orders are tried on inputs no larger than this."""
_BLOCK_LIMIT, _GRID_LIMIT, _SHARED_LIMIT = 1024, (2**31 - 1, 65535, 65535), 227 * 1024


@dataclass(frozen=True)
class Draw:
    """Inputs at some sizes and the outputs that belong to them."""

    sizes: Sizes
    kind: str
    inputs: dict[str, torch.Tensor]
    expected: torch.Tensor
    like: torch.Tensor

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors by name."""
        tensors = {**self.inputs, "out": self.like}
        return {name: tuple(tensor.shape) for name, tensor in tensors.items()}

    @property
    def place(self) -> str:
        """The draw in words."""
        return f"{', '.join(f'{name} = {value}' for name, value in self.sizes.items())}, {self.kind}"


def draws(program: Program) -> Iterator[Draw]:
    """Inputs of all kinds at all the program's witness sizes, wherever the reference is finite."""
    for number, sizes in enumerate(program.witness):
        loaded = program.loaded(sizes)
        own = loaded.draw(number)
        like = loaded.output_like(own)
        for kind, inputs in _kinds(own, program.any_input and number < _SIZES_OF_ALL_KINDS, number):
            expected = loaded.reference(inputs)
            limit = torch.finfo(like.dtype).max if like.is_floating_point() else None
            if not expected.is_floating_point() or bool((expected.abs() < (limit or 0)).all()):
                yield Draw(sizes, kind, inputs, expected, like)


def _kinds(
    own: dict[str, torch.Tensor], any_input: bool, seed: int
) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    yield "own inputs", own
    if not any_input:
        return
    generator = torch.Generator().manual_seed(seed)

    def like(value: torch.Tensor) -> torch.Tensor:
        return torch.randn(value.shape, generator=generator).to(value.dtype)

    def each(change) -> dict[str, torch.Tensor]:
        return {name: change(value) if value.is_floating_point() else value for name, value in own.items()}

    yield "normal inputs", each(like)
    yield "inputs times 30", each(lambda value: like(value) * 30)
    yield "inputs plus 20", each(lambda value: like(value) + 20)
    yield "inputs minus 20", each(lambda value: like(value) - 20)
    yield "inputs times 0.001", each(lambda value: like(value) * 1e-3)


def excess(got: torch.Tensor, expected: torch.Tensor) -> float:
    """The error as a multiple of what TOLERANCE allows; infinity for a wrong integer or a NaN."""
    if not got.is_floating_point():
        return 0.0 if torch.equal(got, expected.to(got.dtype)) else float("inf")
    scale = expected.square().mean().sqrt() + expected.abs()
    error = (got.double() - expected).abs() / (scale * TOLERANCE[got.dtype] + 1e-30)
    return float(error.nan_to_num(nan=float("inf")).max()) if error.numel() else 0.0


class Original:
    """A right kernel with the draws and trials on which it is right."""

    def __init__(self, interpreter: Interpreter, program: Program, text: str) -> None:
        """Raises ValueError if the kernel does not compile, or is nowhere right."""
        self._interpreter, self._program, self._text = interpreter, program, text
        compiled = interpreter.compile(text, "original")
        if compiled is None:
            raise ValueError(f"the kernel for {program.name} does not compile")
        tried = [draw for draw in draws(program) if not self._limit(text, draw)]
        outcomes = compiled.run([_job(text, draw, _trials(text, draw)) for draw in tried])
        compiled.remove()
        self.right: list[tuple[Draw, tuple[Trial, ...]]] = []
        for draw, found in zip(tried, outcomes, strict=False):
            trials = [
                trial
                for trial, each in zip(_trials(text, draw), found, strict=False)
                if _is_right(each, draw)
            ]
            if trials:
                self.right.append((draw, tuple(trials)))
        if not self.right:
            raise ValueError(f"the kernel for {program.name} is nowhere right")

    def witness(self, mutant: str, *, mixed: bool) -> str | None:
        """Why the mutant is no answer, in words; None if nothing shows it (or it does not compile).

        `mixed` tries mixed orders of threads, too.
        """
        found = self._launch_witness(mutant)
        if found:
            return found
        compiled = self._interpreter.compile(mutant, "mutant")
        if compiled is None:
            return None
        first = [(draw, trials[:1]) for draw, trials in self.right if draw.kind == "own inputs"]
        rest = [
            (draw, tuple(each for each in trials if mixed or each in _PLAIN)) for draw, trials in self.right
        ]
        try:
            return self._difference(compiled, mutant, first) or self._difference(compiled, mutant, rest)
        finally:
            compiled.remove()

    def _launch_witness(self, mutant: str) -> str | None:
        if re.sub(r"^(?!//).*$", "", mutant, flags=re.MULTILINE) == re.sub(
            r"^(?!//).*$", "", self._text, flags=re.MULTILINE
        ):
            return None  # the launch lines are the original's
        shipped = self._program.loaded(self._program.published)
        inputs = shipped.draw(0)
        ratios = Draw(self._program.published, "", inputs, torch.empty(0), shipped.output_like(inputs))
        for draw in [ratios, *(draw for draw, _ in self.right)]:
            reason = self._limit(mutant, draw)
            if reason:
                return f"{reason} at {draw.place}"
        reason = beyond_limits(mutant, self._program, self._text)
        return f"{reason} at the shipped sizes" if reason else None

    def _limit(self, text: str, draw: Draw) -> str | None:
        try:
            return _refusal(plan(text, draw.sizes, draw.shapes), text)
        except (ZeroDivisionError, ValueError, NameError, TypeError) as error:
            return f"the plan fails ({error})"

    def _difference(
        self, compiled: Compiled, mutant: str, tried: Sequence[tuple[Draw, tuple[Trial, ...]]]
    ) -> str | None:
        outcomes = compiled.run([_job(mutant, draw, trials) for draw, trials in tried])
        for (draw, trials), found in zip(tried, outcomes, strict=False):
            for trial, outcome in zip(trials, found, strict=False):
                where = f"at {draw.place} ({trial.order.name.lower()}{', weak' if trial.weak else ''})"
                if outcome.ending is not Ending.DONE:
                    return f"{outcome.ending.name.lower()} {where}"
                error = excess(outcome.outputs["out"], draw.expected)
                if error > 1:
                    return f"{error:.1f} times the tolerance {where}"
        return None


def _elements(inputs: Mapping[str, torch.Tensor]) -> int:
    return sum(value.numel() for value in inputs.values())


def _trials(text: str, draw: Draw) -> tuple[Trial, ...]:
    if draw.kind != "own inputs":
        return _PLAIN[:1]
    if _elements(draw.inputs) > _MOST_MIXED:
        return _PLAIN
    return (*_PLAIN, *_MIXED, *_WEAK) if "__threadfence" in text else (*_PLAIN, *_MIXED)


def _is_right(outcome: Outcome, draw: Draw) -> bool:
    done = outcome.ending is Ending.DONE
    return done and excess(outcome.outputs["out"], draw.expected) < _ORIGINAL_SHARE


def _job(text: str, draw: Draw, trials: Sequence[Trial]) -> Job:
    return Job(plan(text, draw.sizes, draw.shapes), draw.inputs, {"out": draw.like}, trials)


def _refusal(launches: Plan, text: str) -> str | None:
    """What CUDA would refuse."""
    for launch in launches.launches:
        x, y, z = launch.block
        if x * y * z > _BLOCK_LIMIT or z > 64:
            return f"a block of {x * y * z} threads"
        if any(extent > most for extent, most in zip(launch.grid, _GRID_LIMIT, strict=True)):
            return f"a grid of {launch.grid}"
        if not 0 <= launch.shared <= _SHARED_LIMIT:
            return f"{launch.shared} bytes of shared memory"
        bounds = re.search(rf"__launch_bounds__\((\d+)\) {launch.kernel}\(", text)
        if bounds and x * y * z > int(bounds[1]):
            return f"a block of {x * y * z} threads for launch bounds of {bounds[1]}"
    return None


def beyond_limits(mutant: str, program: Program, original: str) -> str | None:
    """What CUDA would refuse at the shipped sizes, where it takes the original; by shapes alone."""
    with torch.device("meta"):
        loaded = program.loaded(program.shipped)
        inputs = loaded.draw(0)
        shapes = {name: tuple(value.shape) for name, value in inputs.items()}
        shapes["out"] = tuple(loaded.reference(inputs, double=False).shape)
    if _refusal(plan(original, program.shipped, shapes), original):
        return None
    try:
        return _refusal(plan(mutant, program.shipped, shapes), mutant)
    except (ZeroDivisionError, ValueError, NameError, TypeError) as error:
        return f"the plan fails ({error})"
