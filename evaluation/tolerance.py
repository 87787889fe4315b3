"""Whether an output equals the reference's: the one place that says how close is close enough.

For floating point, element by element,

    |got - want| <= (tolerance + eps) (|want| + scale) + slack + smallest

where `want` is the reference in float64, `eps` the spacing of the output's dtype at 1 and `smallest` its
smallest normal number (hardware may flush below it to zero). `scale` and `slack` are found for every element
by `evaluation.reference.sensitivity`: how far the element follows its inputs (a sum that happens to be near
zero is as
inexact as its terms), and how wrong PyTorch's own result is in the declared precision. No element's error is
measured by the size of others. NaNs and infinities must stand exactly where the reference has them. Integers
and booleans are compared exactly, and a boolean holds 0 or 1. What the program does not determine (an index
among ties, a number that rounding decides) has a slack of infinity for integers and is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Spacing of the floating-point dtypes at 1.
EPSILON: dict[str, float] = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}
#: Allowed relative error by output dtype, besides the dtype's own spacing; a problem takes its largest.
TOLERANCE: dict[str, float] = {"float64": 1e-6, "float32": 1e-4, "float16": 2e-3, "bfloat16": 1e-2}
_SMALLEST: dict[str, float] = {"float64": 2.0**-1022, "float16": 2.0**-24}  # others: float32's
_SMALLEST_SINGLE = 2.0**-126


@dataclass(frozen=True)
class Comparison:
    """How far an output is from the reference's."""

    error: float
    """Largest error as a fraction of what is allowed; infinite where NaN, infinity or an integer differs."""
    reason: str | None
    """Where and how it differs, in one sentence; `None` if it is close enough."""


def compare(
    name: str,
    dtype: str,
    got: np.ndarray,
    want: np.ndarray,
    *,
    tolerance: float,
    scale: np.ndarray | float = 0.0,
    slack: np.ndarray | float = 0.0,
) -> Comparison:
    """Compare one output with the reference's.

    Args:
        name: the output's name, for the reason.
        dtype: the declared dtype of the output.
        got: the candidate's values in that dtype (bfloat16 as uint16 bit patterns).
        want: the reference's values, float64 or integers, in the same shape.
        tolerance: error allowed relative to the size of the expected values.
        scale: by element, what counts as its size besides `want`.
        slack: by element, the error allowed besides.
    """
    if got.shape != want.shape:
        return Comparison(np.inf, f"{name} has the shape {got.shape}; expected {want.shape}")
    if got.size == 0:
        return Comparison(0.0, None)
    values = widen(got, dtype) if dtype in EPSILON else got
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found = np.asarray(excess(np, dtype, values, want, scale, slack, tolerance))
    return _worst(name, values, want, found)


def excess(xp: Any, dtype: str, got: Any, want: Any, scale: Any, slack: Any, tolerance: float) -> Any:
    """The error of each element as a fraction of what is allowed; infinite where nothing is.

    `xp` is the module of the arrays, numpy or torch. `got` is float64 for a floating-point `dtype`.
    """
    if dtype not in EPSILON:
        if dtype == "bool":
            got, want = xp.asarray(got).view(xp.uint8), xp.asarray(want).view(xp.uint8)
        return xp.where((got == want) | _is_infinite(xp, slack), 0.0, xp.inf)
    smallest = _SMALLEST.get(dtype, _SMALLEST_SINGLE)
    allowed = (tolerance + EPSILON[dtype]) * (abs(want) + scale) + slack + smallest
    finite = xp.isfinite(got) & xp.isfinite(want)
    equal = (got == want) | (xp.isnan(got) & xp.isnan(want)) | _is_infinite(xp, slack)
    return xp.where(equal, 0.0, xp.where(finite, abs(got - want) / allowed, xp.inf))


def _is_infinite(xp: Any, slack: Any) -> Any:
    return slack == xp.inf


def widen(values: np.ndarray, dtype: str) -> NDArray[np.float64]:
    """Values of a floating-point dtype as float64, exactly; bfloat16 comes as uint16 bit patterns."""
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values.astype(np.float64)


def _worst(name: str, got: np.ndarray, want: np.ndarray, excess: np.ndarray) -> Comparison:
    """The element that is furthest off, and how many are."""
    index = np.unravel_index(int(np.argmax(excess)), excess.shape)
    error = float(excess[index])
    if error <= 1:
        return Comparison(error, None)
    place = f"{name}[{', '.join(str(int(i)) for i in index)}]" if index else name
    wrong = int(np.count_nonzero(excess > 1))
    shown = "{} is {}, expected {}" if got.dtype.kind in "iub" else "{} is {:.6g}, expected {:.6g}"
    reason = f"{shown.format(place, got[index], want[index])}; {wrong} of {got.size} elements differ"
    return Comparison(error, reason)
