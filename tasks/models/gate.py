"""The promotion gate: does the challenger beat the champion by more than the noise of the measurement?

A pure decision over benchmarks, made without a machine in sight, so that it can be tested and
repeated. What it decides is carried out by `tasks.registry`.
"""

from __future__ import annotations

import numpy as np

from evaluation.problem import Frozen
from evaluation.report.estimators import Interval, paired_bootstrap
from evaluation.report.summary import Benchmark, OtherMachineError, require_same_machine


class Decision(Frozen):
    """What the gate decided, and why."""

    promote: bool
    reason: str
    """One sentence for the person who reads the report."""
    gain: Interval | None = None
    """Of the held-out correct rate over the champion's; none where nothing could be compared."""


def decide(challenger: Benchmark, champion: Benchmark | None, *, started_from_champion: bool) -> Decision:
    """Promote on a better correct@1 at ragged sizes whose 95 % interval excludes zero.

    The first model ever is promoted if it solves anything: later nights skip SFT and start from it.

    Args:
        challenger: the night's benchmark.
        champion: the champion's own benchmark; none if there is no champion.
        started_from_champion: the night trained the champion on, so that its benchmark has just measured
            the champion beside the challenger: that comparison is taken instead of the old figures.
    """
    if champion is None:
        return _judge_first(challenger)
    if started_from_champion:
        return _judge(challenger.gain, challenger.start.not_judged)
    if challenger.per_problem.keys() != champion.per_problem.keys():
        reason = (
            "not promoted: the champion was measured on other held-out problems, so nothing can be compared"
        )
        return Decision(promote=False, reason=reason)
    try:
        require_same_machine(challenger, champion)
    except OtherMachineError as error:
        return Decision(promote=False, reason=f"not promoted: {error}")
    problems = sorted(champion.per_problem)
    before = np.array([champion.per_problem[problem] for problem in problems])
    after = np.array([challenger.per_problem[problem] for problem in problems])
    return _judge(paired_bootstrap(before, after), champion.trained.not_judged)


def _judge_first(challenger: Benchmark) -> Decision:
    if challenger.trained.correct > 0:
        return Decision(
            promote=True, reason="promoted: the first model of this profile that solves something"
        )
    return Decision(promote=False, reason="not promoted: it solves nothing yet")


def _judge(gain: Interval, unknown: float) -> Decision:
    """`unknown`: share of the champion's samples that nobody judged; they count as wrong."""
    points = f"{100 * gain.mean:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    if 0 < gain.low <= unknown:
        reason = f"not promoted: {points} correct, but {unknown:.1%} of the champion's were not judged"
        return Decision(promote=False, reason=reason, gain=gain)
    if gain.low > 0:
        return Decision(promote=True, reason=f"promoted: {points} correct over the champion", gain=gain)
    reason = f"not promoted: {points} correct over the champion is within the noise"
    if gain.high < 0:
        reason = f"not promoted: {points} correct, worse than the champion"
    return Decision(promote=False, reason=reason, gain=gain)
