"""The benchmark as one self-contained HTML page: no script, no network, readable in ten years."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from evaluation.problem import Problem
from evaluation.report.estimators import Interval
from evaluation.report.page import part, percent, table
from evaluation.report.speed_html import Series, speed_section
from evaluation.report.summary import Benchmark, Contender, Rates, Sample, best_samples, groups_of
from evaluation.timing.machine import Fingerprint
from evaluation.verdict import Status

Contenders = tuple[tuple[Contender, Rates], ...]
"""The models that a page is about, in the order of its columns."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2530}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #d5dbe3}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;text-align:left;
border-bottom:1px solid #e6eaf0}
pre{background:#f5f7fa;padding:.7rem;overflow:auto}
.bar{background:#e6eaf0;height:.7rem;border-radius:.35rem;min-width:8rem}.bar i{display:block;height:100%;
border-radius:.35rem;background:#9aa9bd}.bar i.trained{background:#2f7d4f}summary{cursor:pointer}
.head{font-size:1.25rem}.correct{color:#2f7d4f}.note{color:#5a6675}
"""

_PAGE = part("""\
<!doctype html><html lang='en'><meta charset='utf-8'><title>Warpsmith benchmark</title>
<style>{{ style }}</style><h1>{{ title }}</h1>
{{ headline }}
<h2>How far the kernels came</h2>
{{ funnel }}
<h2>Why they failed</h2>
{{ taxonomy }}
<h2>By level and operator</h2>
{{ groups }}
{{ speeds }}
<h2>By problem</h2>
{{ problems }}
<h2>What produced this</h2>
{{ facts }}
</html>
""")
_HEADLINE = part("""\
<p class='head'>{{ benchmark.start.correct | percent }} &rarr;
<b class='correct'>{{ benchmark.trained.correct | percent }}</b> correct, gain {{ gain }} on
{{ benchmark.problems }} problems &times; {{ benchmark.samples_per_problem }} samples</p>
{{ table }}
<p class='note'>Intervals: paired bootstrap over problems. The two rows split the gain:
a kernel that is right at aligned sizes and wrong at ragged ones lacks a bounds guard.</p>
""")
_HEADLINE_OF_ONE = part("""\
<p class='head'><b class='correct'>{{ found.correct | percent }}</b> correct
({{ found.correct_aligned | percent }} at aligned sizes) on {{ problems }} problems,
{{ found.samples }} samples;
{% for k, share in found.pass_at_k.items() %}
pass@{{ k }} {{ share | percent }}{{ "" if loop.last else "," }}
{% endfor %}</p>
""")
_GROUP = part("<h3>{{ rows | length }} {{ title }}</h3>{% for row in rows %}{{ row }}{% endfor %}")
_PROBLEM = part(
    "<details><summary>{% if before is not none %}{{ before | percent }} &rarr; {% endif %}"
    "{{ rate | percent }} {{ problem.id }} &middot; level {{ problem.level }} &middot; "
    "{{ ' + '.join(problem.operators) }}"
    "{% if sample.speedup is not none %} &middot; {{ '%.2f' | format(sample.speedup) }}x{% endif %}"
    "{% if not sample.checks.correct %}"
    " &middot; {{ sample.checks.status.value }}: {{ sample.checks.reason[:80] }}{% endif %}</summary>"
    "<pre>{{ problem.shipped.program }}</pre>{{ kernels }}</details>"
)
_KERNEL = part("<pre>{{ sample.response }}</pre><p>{{ status }}: {{ sample.checks.reason }}</p>")
_BAR = part("<div class='bar'><i class='{{ name }}' style='width:{{ width }}%'></i></div>")

#: How far a candidate came, in order: each step includes the ones after it.
_FUNNEL: tuple[tuple[str, frozenset[Status]], ...] = (
    ("judged", frozenset({Status.NOT_JUDGED})),
    ("parsed", frozenset({Status.UNPARSABLE, Status.REJECTED})),
    ("compiled", frozenset({Status.COMPILE_ERROR, Status.UNSUPPORTED})),
    ("ran", frozenset({Status.LAUNCH_ERROR, Status.TIMEOUT, Status.FAULT})),
    ("correct", frozenset({Status.WRONG, Status.NONDETERMINISTIC, Status.CHEATED})),
)


def render(
    benchmark: Benchmark,
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    facts: Mapping[str, str],
) -> str:
    """The report page.

    Args:
        benchmark: the summary to show.
        problems: those it is about, for the per-problem table.
        samples: every judged response; one of the trained model's is shown a problem.
        facts: what produced it (night, seeds, revision), shown as they are.
    """
    shown = _Page(_contenders(benchmark), problems, samples, facts, benchmark.fingerprint)
    return shown.html("Held-out benchmark", _headline(benchmark), benchmark.per_problem)


def render_one(
    found: Rates,
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    facts: Mapping[str, str],
    fingerprint: Fingerprint | None = None,
) -> str:
    """The page about a single model's responses: the same without the comparison."""
    shares = {
        p.id: float(np.mean([s.checks.correct for s in samples if s.problem_id == p.id])) for p in problems
    }
    headline = _HEADLINE_OF_ONE(found=found, problems=len(problems))
    shown = _Page(((Contender.TRAINED, found),), problems, samples, facts, fingerprint)
    return shown.html("Benchmark", headline, shares)


@dataclass(frozen=True)
class _Page:
    """What every report shows below its headline."""

    contenders: Contenders
    problems: Sequence[Problem]
    samples: Sequence[Sample]
    facts: Mapping[str, str]
    fingerprint: Fingerprint | None

    def html(self, title: str, headline: Markup, shares: Mapping[str, float]) -> str:
        """The whole page; `shares`: of correct samples, by problem."""
        return _PAGE(
            style=Markup(STYLE),
            title=title,
            headline=headline,
            funnel=_funnel(self.contenders),
            taxonomy=_taxonomy(self.contenders),
            groups=_groups(self.contenders, self.problems),
            speeds=speed_section(_series(self.contenders), self.fingerprint),
            problems=_problem_rows(shares, self.problems, self.samples),
            facts=table(("", ""), list(self.facts.items())),
        )


def _headline(benchmark: Benchmark) -> Markup:
    rows = [
        ("correct@1 (ragged sizes)", benchmark.start.correct, benchmark.trained.correct, benchmark.gain),
        (
            "correct at aligned sizes",
            benchmark.start.correct_aligned,
            benchmark.trained.correct_aligned,
            benchmark.gain_aligned,
        ),
    ]
    cells = [(n, percent(a), percent(b), _interval(g)) for n, a, b, g in rows]
    cells.append(
        (
            "exact grid, no guard",
            percent(benchmark.start.unguarded),
            percent(benchmark.trained.unguarded),
            "",
        )
    )
    heads = ("", *_heads(_contenders(benchmark)), "gain [95 %]")
    gain = _interval(benchmark.gain)
    return _HEADLINE(benchmark=benchmark, gain=gain, table=table(heads, cells))


def _funnel(contenders: Contenders) -> Markup:
    rows = []
    for (contender, rates), name in zip(contenders, _heads(contenders), strict=True):
        left = rates.samples
        for step, lost in _FUNNEL:
            left -= sum(rates.statuses.get(status, 0) for status in lost)
            share = left / rates.samples
            rows.append((name, step, _bar(share, contender), percent(share)))
    return table(("model", "step", "", "share"), rows)


def _taxonomy(contenders: Contenders) -> Markup:
    rows = []
    for status in (status for status in Status if status is not Status.CORRECT):
        counts = [rates.statuses.get(status, 0) for _, rates in contenders]
        if any(counts):
            rows.append((status.value, *map(str, counts)))
    return table(("status", *_heads(contenders)), rows)


def _groups(contenders: Contenders, problems: Sequence[Problem]) -> Markup:
    """correct@1 of every model by group, and of the last one pass@k for the largest k."""
    sizes = Counter(name for problem in problems for name in groups_of(problem))
    last = contenders[-1][1]
    k = max(last.pass_at_k, default=1)
    rows = [
        (
            name,
            str(sizes[name]),
            *(percent(rates.by_group[name]) for _, rates in contenders),
            percent(last.pass_by_group[name][k]) if name in last.pass_by_group else "",
            _bar(last.by_group[name], Contender.TRAINED),
        )
        for name in last.by_group
    ]
    return table(("group", "problems", *_heads(contenders), f"pass@{k}", ""), rows)


def _problem_rows(
    shares: Mapping[str, float], problems: Sequence[Problem], samples: Sequence[Sample]
) -> Markup:
    """Every problem with the best of its samples, correct before not, then by speed-up, then the first.

    Where two models are compared, what became worse stands first, then what became better.
    """
    best, before = best_samples(samples), _start_shares(samples)
    rows = {p.id: _problem(p, shares[p.id], before.get(p.id), best) for p in problems}
    if not before:
        return Markup().join(rows.values())
    change = {name: shares[name] - share for name, share in before.items()}
    parts = (
        ("worse than before", sorted((n for n in rows if change[n] < 0), key=lambda n: change[n])),
        ("better than before", sorted((n for n in rows if change[n] > 0), key=lambda n: -change[n])),
        ("as before", [n for n in rows if change[n] == 0]),
    )
    return Markup().join(_GROUP(title=title, rows=[rows[name] for name in names]) for title, names in parts)


def _start_shares(samples: Sequence[Sample]) -> dict[str, float]:
    """The start's share of correct samples by problem; empty where there is one model only."""
    correct: dict[str, list[bool]] = {}
    for sample in samples:
        if sample.contender is Contender.START:
            correct.setdefault(sample.problem_id, []).append(sample.checks.correct)
    return {name: float(np.mean(found)) for name, found in correct.items()}


def _problem(
    problem: Problem, rate: float, before: float | None, best: Mapping[tuple[str, Contender], Sample]
) -> Markup:
    sample = best[problem.id, Contender.TRAINED]
    kernels = [_kernel(sample)]
    if before is not None:
        kernels += [Markup("<p>Before:</p>"), _kernel(best[problem.id, Contender.START])]
    return _PROBLEM(problem=problem, rate=rate, before=before, sample=sample, kernels=Markup().join(kernels))


def _kernel(sample: Sample) -> Markup:
    return _KERNEL(sample=sample, status=sample.checks.status.value)


def _contenders(benchmark: Benchmark) -> Contenders:
    return (Contender.START, benchmark.start), (Contender.TRAINED, benchmark.trained)


def _heads(contenders: Contenders) -> list[str]:
    """What the columns of the models are called."""
    if len(contenders) == 1:
        return [""]
    return [contender.value for contender, _ in contenders]


def _series(contenders: Contenders) -> list[Series]:
    """The models that were timed."""
    return [(contender.value, rates.speeds) for contender, rates in contenders if rates.speeds is not None]


def _bar(share: float, contender: Contender) -> Markup:
    return _BAR(name=contender.value, width=f"{100 * share:.1f}")


def _interval(gain: Interval) -> str:
    return f"{100 * gain.mean:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
