"""The page of a night, for the person who comes in the morning: what changed, what to do about it, and why.

It is one file without network; all text of a model or a program is escaped, and the policy in its head lets
no script run but the one that filters its list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

from markupsafe import Markup

from evaluation.problem import Problem
from evaluation.report.figures import Figures, figures_of
from evaluation.report.page import part, percent, table
from evaluation.report.summary import Benchmark, Contender, Sample, best_samples, merit
from evaluation.verdict import Status
from tasks.models.gate import Decision, Measure
from tasks.report.charts import Points, heat_map, line_chart
from tasks.report.problem_list import SCRIPT_HASH, problem_list
from tasks.report.source import STYLE as SOURCE_STYLE
from tasks.report.source import coloured

#: So many of the best new kernels, and of the problems that were lost, are shown in full.
_SHOWN = 6
#: The curves that are drawn: title, stage, and the metrics in it.
_CURVES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("SFT loss", "sft", ("train/loss",)),
    ("reward", "grpo", ("reward/mean", "reward/best")),
    ("kernels", "grpo", ("kernels/correct", "kernels/compiled", "kernels/parsed")),
    ("validation", "grpo", ("eval/validation", "eval/validation/correct")),
    ("response length", "grpo", ("rollout/response_length_mean",)),
    ("entropy", "grpo", ("train/entropy",)),
    ("gradient norm", "grpo", ("train/grad_norm",)),
    ("KL and mismatch", "grpo", ("train/kl", "train/logprob_difference")),
)
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#1c2530}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #d5dbe3}
table{border-collapse:collapse}td,th{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #e6eaf0}
pre{background:#f5f7fa;padding:.7rem;overflow:auto;max-height:32rem}summary{cursor:pointer}
.head{font-size:1.25rem}.note{color:#5a6675}.good{border-left:.4rem solid #2f7d4f;padding-left:.8rem}
.bad{border-left:.4rem solid #b3372c;padding-left:.8rem}.chart{margin:.2rem .4rem}nav a{margin-right:1rem}
.heat td{text-align:center}
"""
_PAGE = part("""\
<!doctype html><html lang='en'><meta charset='utf-8'>
<meta http-equiv='Content-Security-Policy'
 content="default-src 'none'; style-src 'unsafe-inline'; script-src '{{ script }}'">
<title>Night {{ morning.night }}</title><style>{{ style }}</style>
<h1>Night {{ morning.night }} <small class='note'>{{ morning.profile }}</small></h1>
<p class='{{ "good" if decision.promote else "bad" }} head'>{{ decision.reason }}</p>
<nav>{% for name, address in morning.links %}<a href='{{ address }}'>{{ name }}</a>{% endfor %}</nav>
<h2>What changed</h2>{{ changed }}
<h2>The decision</h2>{{ numbers }}
<h2>Best new kernels</h2>{{ kernels }}
<h2>Regressions</h2>{{ regressions }}
<h2>Learning curves</h2>{{ curves }}
<h2>Why kernels failed</h2>{{ failures }}
<h2>Operators by level</h2>{{ heat }}
<p class='note'>Share of the trained model's kernels that are correct; in brackets the number of problems.</p>
<h2>All problems</h2>{{ problems }}
<h2>What it cost</h2>{{ costs }}
<h2>What produced this</h2>{{ facts }}
</html>
""")
_KERNEL = part("""
<details {{ "open" if open }}><summary>{{ head }}</summary>{{ program }}{{ kernel }}
<p>{{ sample.checks.status.value }}: {{ sample.checks.reason }}</p></details>
""")
_LISTS = part("""
{% for name, problems in lists %}<p><b>{{ problems | length }} {{ name }}</b>{% if problems %}:
{{ problems | join(', ') }}{% endif %}</p>{% endfor %}
""")


@dataclass(frozen=True)
class Earlier:
    """A night before this one, to compare with."""

    name: str
    benchmark: Benchmark


@dataclass(frozen=True)
class Morning:
    """All that the page shows."""

    night: str
    profile: str
    decision: Decision
    decision_rows: Sequence[Mapping[str, str]]
    benchmark: Benchmark
    problems: Sequence[Problem]
    samples: Sequence[Sample]
    curves: Mapping[str, Sequence[Mapping[str, float]]]
    """The rows of metrics.jsonl by stage."""
    before: Earlier | None
    links: Sequence[tuple[str, str]]
    facts: Mapping[str, str]
    costs: Sequence[Mapping[str, str]] = ()
    """Hours by stage, in all, and for each newly solved problem."""

    @property
    def figures(self) -> dict[Contender, dict[str, Figures]]:
        """By model and problem."""
        timed = any(sample.speedup is not None for sample in self.samples)
        return {
            contender: figures_of((s for s in self.samples if s.contender is contender), timed=timed)
            for contender in Contender
        }


def morning_page(morning: Morning) -> str:
    """The page as HTML."""
    figures, best = morning.figures, best_samples(morning.samples)
    return str(
        _PAGE(
            morning=morning,
            decision=morning.decision,
            script=SCRIPT_HASH,
            style=Markup(_STYLE + SOURCE_STYLE),
            changed=_changed(morning, figures),
            numbers=_numbers(morning),
            kernels=_new_kernels(morning, figures, best),
            regressions=_regressions(morning, figures, best),
            curves=_curves(morning.curves),
            failures=_failures(morning),
            heat=_heat(morning.problems, figures[Contender.TRAINED]),
            problems=problem_list(morning.problems, figures, best),
            costs=_rows(morning.costs),
            facts=table(("", ""), list(morning.facts.items())),
        )
    )


def _changed(morning: Morning, figures: Mapping[Contender, Mapping[str, Figures]]) -> Markup:
    """Headline numbers of last night, of the start and of the trained model, and which problems changed."""
    models = [("started from", morning.benchmark.start), ("trained", morning.benchmark.trained)]
    if morning.before:
        models.insert(0, (f"night {morning.before.name}", morning.before.benchmark.trained))
    names = sorted({name for _, rates in models for name in rates.metrics("")})
    rows = []
    for name in names:
        values = [rates.metrics("").get(name) for _, rates in models]
        last = [value for value in values if value is not None]
        change = f"{last[-1] - last[0]:+.4g}" if len(last) > 1 else ""
        shown = ["" if value is None else f"{value:.4g}" for value in values]
        rows.append((name.removeprefix("/"), *shown, change))
    made = table(("held-out", *(name for name, _ in models), "change"), rows)
    if morning.before:
        before, after = _shares(morning.before.benchmark), _shares(morning.benchmark)
        both = [name for name in after if name in before]
        lists = [
            ("problems solved that last night's model never solved", _crossing(both, before, after)),
            ("problems lost that last night's model solved", _crossing(both, after, before)),
        ]
        made += _LISTS(lists=lists)
    return made


def _shares(benchmark: Benchmark) -> dict[str, float]:
    return benchmark.per_problem


def _crossing(names: Sequence[str], low: Mapping[str, float], high: Mapping[str, float]) -> list[str]:
    """Problems that only the second model ever solves."""
    return [name for name in names if low[name] == 0 < high[name]]


def _rows(rows: Sequence[Mapping[str, str]]) -> Markup:
    """A table of rows with the same keys."""
    return table(list(rows[0]) if rows else [], [list(row.values()) for row in rows])


def _numbers(morning: Morning) -> Markup:
    made = _rows(morning.decision_rows)
    speed = morning.decision.gains.get(Measure.SPEED)
    if speed is not None:
        made += table(
            ("", "mean", "low", "high"),
            [
                (
                    "speed-up over the champion",
                    *(f"{exp(v):.3f}x" for v in (speed.mean, speed.low, speed.high)),
                )
            ],
        )
    return made


def _new_kernels(
    morning: Morning,
    figures: Mapping[Contender, Mapping[str, Figures]],
    best: Mapping[tuple[str, Contender], Sample],
) -> Markup:
    """The best kernels of problems that the model could not solve before, or solves faster now."""
    start, by_id = figures[Contender.START], {problem.id: problem for problem in morning.problems}
    found = []
    for (name, contender), sample in best.items():
        if contender is not Contender.TRAINED or not sample.checks.correct:
            continue
        if start[name].correct == 0 or merit(sample) > merit(best[name, Contender.START]):
            found.append(sample)
    found.sort(
        key=lambda sample: (-(sample.speedup or 0), -by_id[sample.problem_id].level, sample.problem_id)
    )
    if not found:
        return Markup("<p>None: what is solved was solved before, as fast.</p>")
    shown = [
        _kernel(by_id[sample.problem_id], sample, is_open=place == 0)
        for place, sample in enumerate(found[:_SHOWN])
    ]
    return Markup("<p>{} of {}.</p>").format(len(shown), len(found)) + Markup().join(shown)


def _regressions(
    morning: Morning,
    figures: Mapping[Contender, Mapping[str, Figures]],
    best: Mapping[tuple[str, Contender], Sample],
) -> Markup:
    """Problems that the model solved before training and never after, each with why."""
    start, trained = figures[Contender.START], figures[Contender.TRAINED]
    lost = [
        problem
        for problem in morning.problems
        if start[problem.id].correct > 0 == trained[problem.id].correct
    ]
    made = _LISTS(
        lists=[
            ("problems lost in this night's training", [problem.id for problem in lost]),
            ("problems of the champion lost", morning.decision.lost),
        ]
    )
    shown = [_kernel(one, best[one.id, Contender.TRAINED], is_open=False) for one in lost[:_SHOWN]]
    return made + Markup().join(shown)


def _kernel(problem: Problem, sample: Sample, *, is_open: bool) -> Markup:
    head = [problem.id, f"level {problem.level}", " + ".join(problem.operators)]
    if sample.timing is not None and sample.timing.speedup is not None:
        speed = sample.timing.speedup
        head.append(f"{speed.median:.2f}x [{speed.low:.2f}, {speed.high:.2f}]")
    elif sample.speedup is not None:
        head.append(f"{sample.speedup:.2f}x")
    if sample.roofline is not None:
        head.append(f"{percent(sample.roofline)} of the roofline")
    return _KERNEL(
        head=" \u00b7 ".join(head),
        open=is_open,
        sample=sample,
        program=coloured(problem.shipped.program, "python"),
        kernel=coloured(sample.response, "cuda"),
    )


def _curves(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Markup:
    drawn = Markup()
    for title, stage, metrics in _CURVES:
        rows = curves.get(stage, ())
        found: dict[str, Points] = {
            name.rpartition("/")[2]: [(row["step"], row[name]) for row in rows if name in row]
            for name in metrics
        }
        drawn += line_chart(title, found)
    return drawn or Markup("<p>Nothing was trained.</p>")


def _failures(morning: Morning) -> Markup:
    """How often each status came up in both models, with an example of the trained one's."""
    counts = Counter((sample.contender, sample.checks.status) for sample in morning.samples)
    totals = Counter(sample.contender for sample in morning.samples)
    made, by_id = Markup(), {problem.id: problem for problem in morning.problems}
    for status in (one for one in Status if one is not Status.CORRECT):
        shares = [counts[contender, status] / max(totals[contender], 1) for contender in Contender]
        if not any(shares):
            continue
        made += Markup("<h3>{}: {} \u2192 {}</h3>").format(status.value, *map(percent, shares))
        samples = [one for one in morning.samples if one.checks.status is status]
        example = max(samples, key=lambda one: one.contender is Contender.TRAINED)
        made += _kernel(by_id[example.problem_id], example, is_open=False)
    return made or Markup("<p>None did.</p>")


def _heat(problems: Sequence[Problem], figures: Mapping[str, Figures]) -> Markup:
    levels = sorted({problem.level for problem in problems})
    cells: dict[str, dict[int, list[float]]] = {}
    for problem in problems:
        for operator in set(problem.operators):
            by_level = cells.setdefault(operator, {})
            by_level.setdefault(problem.level, []).append(figures[problem.id].correct)
    rows = {
        operator: [
            (sum(found) / len(found), len(found)) if (found := by_level.get(level)) else None
            for level in levels
        ]
        for operator, by_level in sorted(cells.items())
    }
    return heat_map([f"level {level}" for level in levels], rows)
