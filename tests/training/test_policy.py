"""The check of the first update: policy and old policy are the same, whatever the engine's tolerance."""

import pytest

from training.policy import _check_first


def report(ratio: float = 1.0, clipped: float = 0.0) -> dict[str, float]:
    return {"tokens": 1000.0, "ratio": 1000.0 * ratio, "clip_low": clipped, "clip_high": 0.0}


@pytest.mark.parametrize("tolerance", [1e-4, 2.0])
def test_an_unchanged_policy_passes(tolerance):
    _check_first(report(), tolerance)


def test_rounding_passes_in_low_precision_only():
    _check_first(report(ratio=1.001, clipped=3), 2.0)
    for rounded in (report(ratio=1.001), report(clipped=3)):
        with pytest.raises(AssertionError, match="first update"):
            _check_first(rounded, 1e-4)


@pytest.mark.parametrize("wrong", [report(ratio=1.1), report(clipped=50), report(ratio=float("nan"))])
def test_another_policy_never_passes(wrong):
    with pytest.raises(AssertionError, match="first update"):
        _check_first(wrong, 2.0)
