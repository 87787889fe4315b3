"""The part of the report that is about speed: geometric means, the fast_p curve, speed-ups by class."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from evaluation.report.page import part, percent, table
from evaluation.report.speed_summary import Speeds
from evaluation.timing.machine import Fingerprint

Series = tuple[str, Speeds]
"""A model's name as the report shows it, and its speeds."""

_WIDTH, _HEIGHT, _MARGIN = 460, 200, 34
_COLOURS = ("#9aa9bd", "#2f7d4f")
_SECTION = part("""
<h2>How fast they are</h2>
{{ means }}{{ curve }}{{ groups }}
<p class='note'>Speed-ups are lower ends of 95 % intervals, over the fastest baseline at the same precision.
Failures count as 1x.{% if machine %} Timed on {{ machine }}.{% endif %} Times of machines with another
fingerprint must not be compared with these.</p>
""")
_CURVE = part("""
<svg width='{{ width }}' height='{{ height }}' role='img' aria-label='fast_p curve' font-size='11'>
<path d='{{ frame }}' fill='none' stroke='#5a6675'/>
<text x='2' y='{{ top + 4 }}'>100 %</text><text x='2' y='{{ bottom }}'>0</text>
{% for x, label in ticks %}
<text x='{{ x }}' y='{{ bottom + 16 }}' text-anchor='middle'>{{ label }}</text>
{% endfor %}
{% for name, colour, points in lines %}
<polyline points='{% for x, y in points %}{{ x }},{{ y }} {% endfor %}' fill='none' stroke='{{ colour }}'
 stroke-width='2'/>
{% for x, y in points %}<circle cx='{{ x }}' cy='{{ y }}' r='3' fill='{{ colour }}'/>{% endfor %}
<title>{{ name }}</title>
{% endfor %}
</svg>
""")


def speed_section(series: Sequence[Series], fingerprint: Fingerprint | None) -> Markup:
    """The section as HTML; empty where nothing was timed.

    Args:
        series: the models that were timed, the last one in the report's green.
        fingerprint: the machine, without which no time means anything.
    """
    if not series:
        return Markup()
    machine = _machine(fingerprint) if fingerprint else ""
    return _SECTION(means=_means(series), curve=_curve(series), groups=_groups(series), machine=machine)


def _means(series: Sequence[Series]) -> Markup:
    rows = [
        ("geometric mean, failures as 1x", [f"{s.geometric_mean:.3f}" for _, s in series]),
        ("geometric mean, timed kernels only", [f"{s.geometric_mean_correct:.3f}" for _, s in series]),
        ("median share of the roofline", [percent(s.roofline) for _, s in series]),
        ("timed kernels", [str(s.timed) for _, s in series]),
    ]
    thresholds = sorted(series[0][1].fast_p)
    rows += [(f"fast_{p:g}", [percent(s.fast_p[p]) for _, s in series]) for p in thresholds]
    return table(("", *(name for name, _ in series)), [(name, *cells) for name, cells in rows])


def _curve(series: Sequence[Series]) -> Markup:
    """fast_p against p, as an inline SVG."""
    thresholds = sorted(series[0][1].fast_p)
    lines = []
    for (name, speeds), colour in zip(series, _COLOURS[-len(series) :], strict=True):
        points = [_point(p, speeds.fast_p[p], thresholds[-1]) for p in thresholds]
        lines.append((name, colour, [(f"{x:.1f}", f"{y:.1f}") for x, y in points]))
    x0, y0 = _point(0, 0, thresholds[-1])
    x1, y1 = _point(thresholds[-1], 1, thresholds[-1])
    ticks = [(f"{_point(p, 0, thresholds[-1])[0]:.0f}", f"{p:g}x") for p in thresholds]
    frame = f"M{x0} {y1}V{y0}H{x1}"
    return _CURVE(width=_WIDTH, height=_HEIGHT, lines=lines, ticks=ticks, frame=frame, top=y1, bottom=y0)


def _groups(series: Sequence[Series]) -> Markup:
    names = list(series[-1][1].by_group)
    rows = [(name, *(f"{s.by_group[name]:.3f}" for _, s in series)) for name in names]
    return table(("speed-up by class", *(name for name, _ in series)), rows)


def _point(p: float, share: float, most: float) -> tuple[float, float]:
    x = _MARGIN + (_WIDTH - 2 * _MARGIN) * p / most
    return x, _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * share


def _machine(found: Fingerprint) -> str:
    return (
        f"{found.gpu}, driver {found.driver}, CUDA {found.cuda}, torch {found.torch} "
        f"(fingerprint {found.digest})"
    )
