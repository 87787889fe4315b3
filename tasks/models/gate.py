"""The promotion gate: is the challenger better than the champion by more than the noise of the measurement?

A pure decision over benchmarks, made without a machine in sight, so that it can be tested and
repeated. What it decides is carried out by `tasks.registry`.

The models are compared problem by problem. A challenger is promoted if it is correct no less often than the
champion, but for a margin, and better in at least one measure: how often its kernels are correct, how often
they are correct and fast, or how fast they are. A measure is better if its interval excludes zero; where
there are several, the intervals are wider, so that all together are wrong no more often than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import numpy as np
from pydantic import Field

from evaluation.problem import Frozen
from evaluation.report.comparison import Comparison
from evaluation.report.estimators import Interval, paired_bootstrap
from evaluation.report.figures import Figures
from evaluation.report.findings import FindingKind
from evaluation.report.summary import Contender, OtherMachineError, require_same_machine
from tasks.models.corridor import Drift, drifts
from tasks.models.gate_settings import GateSettings

#: How often the gate may call noise a gain.
_ALPHA = 0.05
#: Speed-up beyond which a sample that nobody judged is not imagined.
_FASTEST = 8.0


class Measure(StrEnum):
    """What a model can be better in."""

    CORRECT = "correct@1"
    FAST = "fast_1"
    SPEED = "log speed-up"


class Decision(Frozen):
    """What the gate decided, and why."""

    promote: bool
    reason: str
    """One sentence for the person who reads the report."""
    gain: Interval | None = None
    """Of the held-out correct rate over the champion's; none where nothing could be compared."""
    gains: dict[Measure, Interval] = Field(default_factory=dict)
    """Of every measure that could be compared."""
    level: float = 1 - _ALPHA
    """Of each of these intervals."""
    lost: tuple[str, ...] = ()
    """Problems that the champion solves at least once, and the challenger never."""
    solved: tuple[str, ...] = ()
    """The reverse."""
    blocked: tuple[str, ...] = ()
    """What stands against a promotion whatever the figures are."""
    drifts: tuple[Drift, ...] = ()
    """Metrics that are far from those of trusted nights: the night is not trusted."""
    awaits_approval: bool = False
    """Whether it would be promoted if a person agreed."""

    @property
    def trusted(self) -> bool:
        """Whether later nights may be measured by this one."""
        return not self.drifts and not self.blocked


class _Pair(Frozen):
    """The champion's and the challenger's figures on the same problems."""

    before: dict[str, Figures]
    after: dict[str, Figures]
    unknown: float
    """Share of the champion's samples that nobody judged; they count as wrong."""
    correct: Interval | None = None
    """The gain where a report of before has no figures by problem."""
    remark: str = ""
    """Why speeds cannot be compared."""


def decide(
    challenger: Comparison,
    champion: Comparison | None,
    *,
    started_from_champion: bool,
    settings: GateSettings | None = None,
    metrics: Mapping[str, float] | None = None,
    trusted: Sequence[Mapping[str, float]] = (),
) -> Decision:
    """Compare a night's benchmark with the champion's.

    The first model ever is promoted if it solves anything: later nights skip SFT and start from it.

    Args:
        challenger: the night's benchmark.
        champion: the champion's own benchmark; none if there is no champion.
        started_from_champion: the night trained the champion on, so that its benchmark has just measured
            the champion beside the challenger: that comparison is taken instead of the old figures.
        settings: the rules.
        metrics: of the night's stages, by `stage/metric`.
        trusted: the same of trusted nights.
    """
    settings = settings or GateSettings()
    found = _compare(challenger, champion, started_from_champion, settings)
    drifted = drifts(metrics or {}, trusted, settings)
    blocked = (*_findings(challenger, settings), *(drift.sentence for drift in drifted))
    found = found.model_copy(update={"blocked": _findings(challenger, settings), "drifts": drifted})
    if not found.promote:
        return found
    if blocked:
        which = "the night is untrusted" if drifted else "its figures cannot be believed"
        reason = f"not promoted: {which}: {'; '.join(blocked[:3])}"
        return found.model_copy(update={"promote": False, "reason": reason})
    if settings.approval:
        reason = found.reason.replace("promoted:", "waits for approval:", 1)
        return found.model_copy(update={"promote": False, "reason": reason, "awaits_approval": True})
    return found


def _findings(challenger: Comparison, settings: GateSettings) -> tuple[str, ...]:
    """What stands against a promotion: a leak always, cheating where it is more than a slip."""
    leaks = [found.sentence for found in challenger.findings if found.kind is FindingKind.LEAKAGE]
    hacks = [found.sentence for found in challenger.findings if found.kind is FindingKind.HACK]
    share = len(hacks) / challenger.trained.samples
    if hacks and share > settings.max_cheated:
        leaks.append(
            f"{share:.1%} of the kernels cheat, more than {settings.max_cheated:.1%}; one is {hacks[0]}"
        )
    return tuple(leaks)


def _compare(
    challenger: Comparison, champion: Comparison | None, started_from_champion: bool, settings: GateSettings
) -> Decision:
    if champion is None:
        return _judge_first(challenger)
    if started_from_champion:
        pair = _of_one_night(challenger)
    elif challenger.per_problem.keys() != champion.per_problem.keys():
        reason = (
            "not promoted: the champion was measured on other held-out problems, so nothing can be compared"
        )
        return Decision(promote=False, reason=reason)
    else:
        pair = _of_two_nights(challenger, champion)
    return _judge(pair, settings)


def _judge_first(challenger: Comparison) -> Decision:
    if challenger.trained.correct > 0:
        return Decision(
            promote=True, reason="promoted: the first model of this profile that solves something"
        )
    return Decision(promote=False, reason="not promoted: it solves nothing yet")


def _of_one_night(night: Comparison) -> _Pair:
    """The champion, which the night started from, and the challenger, measured side by side."""
    figures = night.figures
    return _Pair(
        before=figures.get(Contender.START, {}),
        after=figures.get(Contender.TRAINED, {}),
        unknown=night.start.not_judged,
        correct=night.gain,
    )


def _of_two_nights(challenger: Comparison, champion: Comparison) -> _Pair:
    before, after = _trained(champion), _trained(challenger)
    remark = ""
    try:
        require_same_machine(challenger, champion)
    except OtherMachineError as error:
        remark = f"; speeds do not count: {error}"
        before = {name: Figures(correct=one.correct) for name, one in before.items()}
    return _Pair(before=before, after=after, unknown=champion.trained.not_judged, remark=remark)


def _trained(benchmark: Comparison) -> dict[str, Figures]:
    """The figures of a benchmark's own model; reports of before have correctness alone."""
    found = benchmark.figures.get(Contender.TRAINED)
    return found or {name: Figures(correct=share) for name, share in benchmark.per_problem.items()}


def _judge(pair: _Pair, settings: GateSettings) -> Decision:
    gains, level = _gains(pair)
    correct = gains[Measure.CORRECT]
    lost = tuple(name for name in pair.before if pair.before[name].correct > 0 == pair.after[name].correct)
    solved = tuple(name for name in pair.before if pair.after[name].correct > 0 == pair.before[name].correct)
    promote, reason = _sentence(gains, pair.unknown, settings)
    if promote and lost:
        reason += f"; {len(lost)} problem{'s' if len(lost) > 1 else ''} lost"
    return Decision(
        promote=promote,
        reason=reason + pair.remark,
        gain=correct,
        gains=gains,
        level=level,
        lost=lost,
        solved=solved,
    )


def _gains(pair: _Pair) -> tuple[dict[Measure, Interval], float]:
    """The gain in every measure that both models have, and the level of the intervals."""
    if not pair.before and pair.correct is not None:
        return {Measure.CORRECT: pair.correct}, 1 - _ALPHA
    of: dict[Measure, Callable[[Figures], float | None]] = {
        Measure.CORRECT: lambda one: one.correct,
        Measure.FAST: lambda one: one.fast_1,
        Measure.SPEED: lambda one: one.log_speedup,
    }
    both: dict[Measure, tuple[list[float], list[float]]] = {}
    for measure, value in of.items():
        before = [value(pair.before[name]) for name in sorted(pair.before)]
        after = [value(pair.after[name]) for name in sorted(pair.before)]
        if None not in before and None not in after:
            both[measure] = [v for v in before if v is not None], [v for v in after if v is not None]
    level = 1 - _ALPHA / len(both)
    gains = {m: paired_bootstrap(np.array(b), np.array(a), level=level) for m, (b, a) in both.items()}
    return gains, level


def _sentence(gains: Mapping[Measure, Interval], unknown: float, settings: GateSettings) -> tuple[bool, str]:
    """Whether to promote, and why. `unknown` may be right after all, so it is no gain."""
    correct = gains[Measure.CORRECT]
    said = _say(Measure.CORRECT, correct)
    if correct.low > unknown:
        return True, f"promoted: {said} over the champion"
    if correct.low > 0:
        return False, f"not promoted: {said}, but {unknown:.1%} of the champion's were not judged"
    hidden = {Measure.FAST: unknown, Measure.SPEED: unknown * np.log(_FASTEST)}
    faster = [measure for measure in hidden if measure in gains and gains[measure].low > hidden[measure]]
    speed = ", ".join(_say(measure, gains[measure]) for measure in faster)
    if faster and correct.low >= -settings.correct_margin:
        margin = f"{100 * settings.correct_margin:g} points"
        return True, f"promoted: {speed} over the champion, at {said} (no worse than {margin} at its low end)"
    if correct.high < 0:
        return False, f"not promoted: {said}, worse than the champion"
    if faster:
        return False, f"not promoted: {speed}, but {said} may be worse by more than the margin"
    return False, f"not promoted: {said} over the champion is within the noise"


def _say(measure: Measure, gain: Interval) -> str:
    if measure is Measure.SPEED:
        mean, low, high = (np.exp(value) for value in (gain.mean, gain.low, gain.high))
        return f"{mean:.3f}x [{low:.3f}, {high:.3f}] as fast"
    what = {Measure.CORRECT: "correct", Measure.FAST: "fast_1"}[measure]
    return f"{100 * gain.mean:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] {what}"
