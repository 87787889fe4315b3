"""The report of a night of questions as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from evaluation.report.estimators import Interval
from evaluation.report.html import STYLE
from evaluation.report.math_summary import MathBenchmark, MathRates, MathSample
from evaluation.report.page import part, percent, table
from evaluation.report.summary import Contender

_MOST_CHARACTERS = 4000
"""Of a response that is shown."""

_PAGE = part(
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>Warpsmith benchmark</title>"
    "<style>{{ style }}</style><h1>Held-out questions</h1>{{ body }}"
    "<h2>What produced this</h2>{{ facts }}</html>\n"
)
_BODY = part("""\
<p class='head'>{{ start.correct | percent }} &rarr; <b class='correct'>{{ trained.correct | percent }}</b>
correct, gain {{ gain }} on {{ problems }} questions &times; {{ samples }} samples</p>
{{ rates }}
<p class='note'>avg@n: share of n samples that are correct; pass@k: one of k is; maj@n: the most
frequent answer is. Interval: paired bootstrap over questions.</p>
<h2>What became of the answers</h2>
{{ statuses }}
<h2>By source</h2>
{{ groups }}
<h2>By question</h2>
{% for row in rows %}{{ row }}{% endfor %}
""")
_QUESTION = part(
    "<details><summary>{{ before | percent }} &rarr; {{ after | percent }} {{ name }} &middot; "
    "{{ verdict.status.value }}{% if verdict.reason %}: {{ verdict.reason[:120] }}{% endif %}</summary>"
    "<pre>{{ question }}</pre><p>label: {{ label }}</p><pre>{{ response }}</pre></details>"
)


def math_page(
    benchmark: MathBenchmark,
    questions: Mapping[str, tuple[str, str]],
    samples: Sequence[MathSample],
    facts: Mapping[str, str],
) -> str:
    """The page; `questions` are each question's text and label by its id."""
    body = math_section(benchmark, questions, samples)
    return _PAGE(style=Markup(STYLE), body=body, facts=table(("", ""), list(facts.items())))


def math_section(
    benchmark: MathBenchmark, questions: Mapping[str, tuple[str, str]], samples: Sequence[MathSample]
) -> Markup:
    """All about the questions, without the page around it."""
    start, trained = benchmark.start, benchmark.trained
    groups = [
        (name, percent(start.by_group[name]), percent(share)) for name, share in trained.by_group.items()
    ]
    names = sorted(set(start.statuses) | set(trained.statuses))
    statuses = [
        (name.value, *(str(rates.statuses.get(name, 0)) for rates in (start, trained))) for name in names
    ]
    return _BODY(
        start=start,
        trained=trained,
        gain=_interval(benchmark.gain),
        problems=benchmark.problems,
        samples=benchmark.samples_per_problem,
        rates=table(("", "start", "trained"), _rows(start, trained, benchmark.samples_per_problem)),
        statuses=table(("status", "start", "trained"), statuses),
        groups=table(("source", "start", "trained"), groups),
        rows=_questions(questions, samples),
    )


def _rows(start: MathRates, trained: MathRates, n: int) -> list[tuple[str, str, str]]:
    both = (start, trained)

    def row(name: str, *values: str) -> tuple[str, str, str]:
        return name, values[0], values[1]

    return [
        row(f"avg@{n}", *(percent(rates.correct) for rates in both)),
        *(row(f"pass@{k}", *(percent(rates.pass_at_k[k]) for rates in both)) for k in start.pass_at_k),
        row(f"maj@{n}", *(percent(rates.majority) for rates in both)),
        row("mean length, tokens", *(f"{rates.length:.1f}" for rates in both)),
        row("truncated", *(percent(rates.truncated) for rates in both)),
        row("not judged", *(percent(rates.not_judged) for rates in both)),
    ]


def _questions(questions: Mapping[str, tuple[str, str]], samples: Sequence[MathSample]) -> list[Markup]:
    """A row for each question, with one response of the trained model: a correct one if there is any."""
    found: dict[tuple[str, Contender], list[MathSample]] = {}
    for sample in samples:
        found.setdefault((sample.problem_id, sample.contender), []).append(sample)
    rows = []
    for name, (question, label) in questions.items():
        trained = found[name, Contender.TRAINED]
        shown = max(trained, key=lambda sample: sample.verdict.correct)
        rows.append(
            _QUESTION(
                name=name,
                question=question,
                label=label,
                before=_share(found[name, Contender.START]),
                after=_share(trained),
                verdict=shown.verdict,
                response=shown.response[:_MOST_CHARACTERS],
            )
        )
    return rows


def _share(samples: Sequence[MathSample]) -> float:
    return sum(sample.verdict.correct for sample in samples) / len(samples)


def _interval(gain: Interval) -> str:
    return f"{100 * gain.mean:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
