"""Whether an output equals the reference's: the one place that says how close is close enough.

For floating point, element by element,

    |got - want| <= (tolerance + eps) (|want| + scale) + min(k e, max(|want|, scale) / 20)

where `want` is the reference in float64, `eps` the spacing of the output's dtype at 1, and `e` the largest
error of the float32 reference itself, taken k = 4 times but never beyond a twentieth, so that a reference
that is itself inaccurate cannot let zeros pass. `scale` is rms(want), but at most ten times the median of
what is not zero, lest a few large values hide all others, as in exp(8 x). It allows for cancellation: a sum
that happens to be near zero is as inexact as its neighbours. NaNs and infinities must stand exactly where the
reference has them. Integers and booleans are compared exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Spacing of the floating-point dtypes at 1.
_EPSILON: dict[str, float] = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}
_BASELINE_FACTOR = 4.0
"""How many times the float32 reference's own error is allowed."""
_BASELINE_SHARE = 0.05
"""Most that the reference's own error may add, as a fraction of the larger of |want| and the scale."""
_MOST_MEDIANS = 10.0
"""Largest scale, in medians of the magnitudes that are not zero."""


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
    baseline_error: float = 0.0,
) -> Comparison:
    """Compare one output with the reference's.

    Args:
        name: the output's name, for the reason.
        dtype: the declared dtype of the output.
        got: the candidate's values in that dtype (bfloat16 as uint16 bit patterns).
        want: the reference's values, float64 or integers, in the same shape.
        tolerance: error allowed relative to the size of the expected values.
        baseline_error: largest absolute error of the reference itself in float32.
    """
    if got.shape != want.shape:
        return Comparison(np.inf, f"{name} has the shape {got.shape}; expected {want.shape}")
    if got.size == 0:
        return Comparison(0.0, None)
    if dtype not in _EPSILON:
        excess = np.where(got == want, 0.0, np.inf)
        return _worst(name, got, want, excess)
    values = widen(got, dtype)
    allowed = _allowance(want, tolerance + _EPSILON[dtype], baseline_error)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        excess = np.abs(values - want) / allowed
    finite = np.isfinite(values) & np.isfinite(want)
    same = (values == want) | (np.isnan(values) & np.isnan(want))
    excess = np.where(same, 0.0, np.where(finite, excess, np.inf))
    return _worst(name, values, want, excess)


def widen(values: np.ndarray, dtype: str) -> NDArray[np.float64]:
    """Values of a floating-point dtype as float64, exactly; bfloat16 comes as uint16 bit patterns."""
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values.astype(np.float64)


def _allowance(want: np.ndarray, relative: float, baseline_error: float) -> NDArray[np.float64]:
    """The error allowed at each element."""
    size, scale = np.abs(want), _scale(want[np.isfinite(want)])
    own = _BASELINE_FACTOR * baseline_error if np.isfinite(baseline_error) else 0.0
    allowed = relative * (size + scale) + np.minimum(own, _BASELINE_SHARE * np.maximum(size, scale))
    return np.asarray(allowed, dtype=np.float64)


def _scale(values: np.ndarray) -> float:
    """How large the values are, without the few that are much larger than the others."""
    sizes = np.abs(values[values != 0])
    if not sizes.size:
        return 0.0
    return min(_root_mean_square(values), _MOST_MEDIANS * float(np.median(sizes)))


def _root_mean_square(values: np.ndarray) -> float:
    """The scale of some values (0 for none), without overflow."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return largest * float(np.sqrt(np.mean(np.square(values / largest)))) if largest else 0.0


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
