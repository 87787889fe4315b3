"""How exactly a program determines its outputs, found by moving what it reads a little, in float64.

A kernel adds in another order than PyTorch, so its result is that of inputs that are a few roundings off.
How far does that move each element? Each pair of probes moves every input up or down by a share of itself,
and the second of a pair the other way, so that a kink (relu near zero) shows on one side. Ties of `topk`,
`argmax` and their like are broken at random meanwhile. What comes out differently where inputs, and results
on the way, move by a few roundings, or in the declared precision, is not determined: an index among ties, a
number that rounding decides, deviations of `exp(x)` from its mean for tiny `x`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from evaluation.reference.inputs import Generator, Named, is_exact
from evaluation.tolerance import EPSILON, TOLERANCE

Evaluate = Callable[[Sequence[Any], Named], Named]
"""Outputs in float64 for inputs and parameters in float64."""

_STEP = 2.0**-14
"""Share by which inputs move to show how far outputs follow: any sum shows it, few thresholds are crossed."""
_ROUNDINGS = 2.0**-20
"""Share by which they move to show what rounding decides: 16 roundings of float32."""
_SIZE_SHARE = 0.3
"""How much of an element's movement, per share of its inputs', counts as its size: adding 70 000 terms one
after the other in float32 is wrong by up to 2e-5 of it, and a tolerance is 1e-4."""
_LEAST_SHARE = 1 / 8
"""Least movement, as a share of the usual one among its neighbours: a probe may leave a sum where it is."""
_FACTOR = 4.0
"""How many times its own error, and the usual error, of the result in the declared precision is allowed."""
_MOST = 0.05
"""Most that this may add, as a share of the element or of the usual one."""
_SAMPLE = 256
"""Elements that a median is taken of."""
_FEW = 1024
"""Elements below which two pairs of probes are run: there are no neighbours to learn from."""
_ROUNDED = frozenset({
    "add", "sub", "rsub", "mul", "div", "reciprocal", "exp", "exp2", "expm1", "log", "log2", "log1p",
    "sqrt", "rsqrt", "pow", "sin", "cos", "tanh", "sigmoid", "erf", "softplus", "gelu", "silu", "sum",
    "mean", "cumsum", "prod", "mm", "bmm", "addmm", "baddbmm", "mv", "dot", "linear", "matmul",
    "convolution", "var", "std",
    "_softmax", "_log_softmax", "logsumexp", "linalg_vector_norm", "avg_pool2d", "_adaptive_avg_pool2d",
})  # fmt: skip
"""Operators that compute: what only moves or chooses values keeps them equal to what they were."""
_BY_WAY_OF_ONE = frozenset({"elu", "softplus", "mish", "tanh"})
"""Of `exp(x) - 1` and `log(1 + exp(x))` few digits are left near 0, of PyTorch's own operators all."""
_FIRST_OF_EQUALS = frozenset(("argmax", "argmin", "max", "min"))  #: documented so
_ANY_OF_EQUALS = frozenset(("topk", "sort", "argsort", "kthvalue", "median", "nanmedian", "mode"))


@dataclass(frozen=True)
class Bounds:
    """How close to each output a right kernel comes; see `evaluation.tolerance`."""

    scale: Named
    slack: Named


class _TieBreaker(TorchFunctionMode):
    """Decides ties at random, the other way round with the other `sign`."""

    def __init__(self, names: frozenset[str], seed: int, device: torch.device, sign: float) -> None:
        super().__init__()
        self._names, self._generator, self._sign = names, Generator(seed, device), sign
        self.used = False

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        chooses = name in self._names or name.endswith("_with_indices")
        if not chooses or not args or not isinstance(args[0], Tensor) or (kwargs or {}).get("stable"):
            return func(*args, **(kwargs or {}))
        self.used = True
        value = args[0]
        result = func(self._broken(value), *args[1:], **(kwargs or {}))
        return result if value.is_floating_point() else _rounded(result, value.dtype)

    def _broken(self, value: Tensor) -> Tensor:
        wide = value.double()
        if not wide.numel():
            return wide
        largest = wide.nan_to_num(0.0, 0.0, 0.0).abs().max()
        step = 2.0**-40 * largest.clamp(min=1e-300) if value.is_floating_point() else 0.4
        return wide + self._sign * step * (self._generator.uniform(wide.shape) - 0.5)


class _Roundings(TorchDispatchMode):
    """Moves results on the way by a `step` of themselves, equal ones alike, but for whole numbers.

    What is most often computed by way of 1, as `exp(x) - 1`, moves by a quarter of `step` besides.
    """

    def __init__(self, step: float, multiplier: int) -> None:
        super().__init__()
        self._step, self._multiplier = step, multiplier

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "log_sigmoid_forward":
            return self._moved(result[0], 1.0), result[1]
        if not isinstance(result, Tensor) or name not in _ROUNDED | _BY_WAY_OF_ONE:
            return result
        return self._moved(result, args[0].abs() if name == "mish" else float(name in _BY_WAY_OF_ONE))

    def _moved(self, result: Tensor, by_way_of: Tensor | float) -> Tensor:
        if result.dtype != torch.float64:
            return result
        step = self._step * _signs_by_value(result, self._multiplier)
        return torch.where(result == result.round(), result, result + step * (result + by_way_of / 4))


def _rounded(result: Any, dtype: torch.dtype) -> Any:
    """Values chosen among integers as integers again; a named tuple becomes a tuple of the same names."""
    if isinstance(result, Tensor):
        return result.round().to(dtype) if result.is_floating_point() else result
    return type(result)(tuple(_rounded(item, dtype) for item in result))


def bounds(
    evaluate: Evaluate,
    values: Sequence[Any],
    state: Named,
    expected: Named,
    outputs: Named,
    in_steps: Named,
    exact: Sequence[bool],
    seed: int,
    *,
    first_of_equals: bool = False,
) -> Bounds:
    """How exactly `expected = evaluate(values, state)` is determined.

    Args:
        evaluate: the program in float64.
        values: its inputs in float64.
        state: its parameters in float64.
        expected: what it gives.
        outputs: its own results in the declared precision.
        in_steps: the same with what a kernel may round besides.
        exact: which of `values` must not be moved.
        seed: of the probes.
        first_of_equals: `argmax` and its like take the first of equals, as documented; otherwise any will do.
    """
    names = _ANY_OF_EQUALS if first_of_equals else _ANY_OF_EQUALS | _FIRST_OF_EQUALS
    device = next(iter(expected.values())).device
    generator = Generator(seed, device)
    held = {name for name, tensor in state.items() if is_exact(tensor)}

    def pair(
        step: float, number: int, sign_of: Callable[[Tensor], Tensor], on_the_way: int = 0
    ) -> tuple[list[Named], bool]:
        signs = [None if fixed else sign_of(value) for value, fixed in zip(values, exact, strict=True)]
        others = {name: sign_of(tensor) for name, tensor in state.items() if name not in held}
        found, chose = [], False
        for side in (step, -step):
            moved = [
                value if sign is None else value * (1 + side * sign)
                for value, sign in zip(values, signs, strict=True)
            ]
            moved_state = {
                name: tensor * (1 + side * others[name]) if name in others else tensor
                for name, tensor in state.items()
            }
            roundings = _Roundings(side, on_the_way) if on_the_way else nullcontext()
            with _TieBreaker(names, seed + number, device, side / step) as ties, roundings:
                found.append(evaluate(moved, moved_state))
            chose = chose or ties.used
        return found, chose

    few = max(value.numel() for value in expected.values()) < _FEW
    far, chose = [], False
    for number in range(2 if few else 1):
        found, chose = pair(_STEP, number, lambda value: _random_signs(value, generator))
        far += found
    multiplier = int(generator.between(2**19, 2**29)) * 2 + 1
    near, _ = pair(_ROUNDINGS, 2, lambda value: _signs_by_value(value, multiplier), multiplier)
    scale: Named = {}
    slack: Named = {}
    for name, want in expected.items():
        own, probes = outputs[name], [found[name] for found in near]
        if want.is_floating_point():
            scale[name] = _scale(want, [found[name] for found in far])
            slack[name] = _slack(want, [own, in_steps[name]], probes, scale[name])
        else:
            probes += [found[name] for found in far] if chose else []
            differs = torch.stack([probe.to(own.dtype) != want for probe in [*probes, own]]).any(0)
            scale[name] = torch.zeros_like(want, dtype=torch.float64)
            slack[name] = torch.where(differs, torch.inf, 0.0).double()
    return Bounds(scale, slack)


def rough_bounds(expected: Named) -> Bounds:
    """Where the program cannot be run in float64: each element is at least as large as the usual one."""
    return Bounds(
        {name: _usual(want.double()) for name, want in expected.items()},
        {name: torch.zeros_like(want, dtype=torch.float64) for name, want in expected.items()},
    )


def _random_signs(value: Tensor, generator: Generator) -> Tensor:
    return torch.where(generator.uniform(value.shape) < 0.5, 1.0, -1.0).double()


def _signs_by_value(value: Tensor, multiplier: int) -> Tensor:
    """A sign for every value, the same for equal ones: what is equal stays so."""
    bits = value.float().contiguous().view(torch.int32)
    return torch.where(bits * multiplier < 0, 1.0, -1.0).double()


def _scale(want: Tensor, probes: Sequence[Tensor]) -> Tensor:
    """What counts as an element's size besides its value, by how far the probes moved it."""
    moved = _furthest(want, probes) / _STEP
    return _SIZE_SHARE * torch.maximum(moved, _LEAST_SHARE * _usual(moved))


def _slack(want: Tensor, own: Sequence[Tensor], probes: Sequence[Tensor], scale: Tensor) -> Tensor:
    """Error allowed for what the declared precision, or a few roundings of the inputs, decide."""
    error = _furthest(want, [value.double() for value in own])
    most = _MOST * torch.maximum(want.nan_to_num(0.0, 0.0, 0.0).abs() + scale, _usual(want))
    slack = torch.minimum(_FACTOR * (error + _usual(error)), most)
    slack = torch.maximum(slack, error) + _furthest(want, probes)
    finite = want.isfinite()
    for value in (own[0], *probes):
        slack.masked_fill_(value.isfinite() != finite, torch.inf)
    return slack


def _furthest(want: Tensor, probes: Sequence[Tensor]) -> Tensor:
    """Largest distance of `probes` from `want`, 0 where either is not finite."""
    furthest = torch.zeros_like(want)
    for probe in probes:
        moved = (probe - want).abs_().nan_to_num_(0.0, 0.0, 0.0)
        furthest = torch.maximum(furthest, moved, out=furthest)
    return furthest


def _usual(moved: Tensor) -> Tensor:
    """The median of what is not zero: along the axis where it is least, as rows may be of different sizes."""
    if not moved.numel():
        return moved
    least: Tensor | None = None
    for axis in range(moved.ndim):
        if moved.shape[axis] >= 8:
            median = _median(moved, axis)
            least = median if least is None else torch.minimum(least, median)
    if least is None:
        least = _median(moved.reshape(-1), 0).reshape([1] * moved.ndim)
    return least.nan_to_num(0.0, 0.0, 0.0).expand_as(moved)


def _median(moved: Tensor, axis: int) -> Tensor:
    """The median along one axis of what is not zero, infinite for none; of a sample where there is much."""
    step = max(1, moved.shape[axis] // _SAMPLE)
    sample = moved.movedim(axis, 0)[::step].movedim(0, axis).abs()
    found = sample.masked_fill_(sample == 0, torch.nan).nanmedian(axis, keepdim=True).values
    return found.nan_to_num_(torch.inf)


@dataclass(frozen=True)
class Usefulness:
    """Shares of an output's elements."""

    loose: float
    """By which a wrong kernel would hardly be told from a right one, or which are not determined."""
    inaccurate: float
    """Whose own error is unusual and half of what is allowed: another right order may be further off."""


def usefulness(dtype: str, want: Tensor, own: Tensor, scale: Tensor, slack: Tensor) -> Usefulness:
    """Whether an output says anything about a kernel."""
    if not want.numel():
        return Usefulness(0.0, 0.0)
    if dtype not in EPSILON:
        return Usefulness(float(slack.isinf().double().mean()), 0.0)
    size = want.nan_to_num(0.0, 0.0, 0.0).abs()
    relative = TOLERANCE[dtype] + EPSILON[dtype]
    allowed, compared = relative * (size + scale), torch.maximum(size, _usual(want))
    loose = (allowed + slack > 0.2 * compared) & (compared > 2.0**-100)
    error = _furthest(want, [own.double()])
    inaccurate = error > 0.5 * allowed + 2 * _usual(error) + 2.0**-126
    return Usefulness(float(loose.double().mean()), float(inaccurate.double().mean()))
