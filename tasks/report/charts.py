"""Charts of the morning's pages as inline SVG: no script, no network, and a number wherever a colour is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from markupsafe import Markup

from evaluation.report.page import part

Points = Sequence[tuple[float, float]]
"""Places of a curve, by rising x."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 300, 150, 44, 22, 10, 20
_COLOURS = ("#2f7d4f", "#9aa9bd", "#b5651d")
#: More points than pixels draw the same line.
_MOST = 300
_CHART = part("""
<svg class='chart' width='{{ width }}' height='{{ height }}' role='img' aria-label='{{ title }}'
 font-size='11'>
<text x='2' y='12' font-weight='600'>{{ title }}</text>
<path d='{{ frame }}' fill='none' stroke='#9aa9bd'/>
<text x='2' y='{{ top + 4 }}'>{{ high }}</text><text x='2' y='{{ bottom }}'>{{ low }}</text>
<text x='{{ left }}' y='{{ bottom + 14 }}'>{{ first }}</text>
<text x='{{ right }}' y='{{ bottom + 14 }}' text-anchor='end'>{{ last }}</text>
{% for name, colour, points, end in lines %}
<polyline points='{{ points }}' fill='none' stroke='{{ colour }}' stroke-width='1.5'/>
<text x='{{ right }}' y='{{ top - 8 + 12 * loop.index0 }}' text-anchor='end' fill='{{ colour }}'>
{{ name }} {{ end }}</text>
{% endfor %}
</svg>
""")
_HEAT = part("""
<table class='heat'><tr><th></th>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for name, cells in rows %}
<tr><th>{{ name }}</th>{% for cell in cells %}
{% if cell is none %}<td></td>{% else %}
<td style='background:{{ cell.colour }}' title='{{ cell.count }} problems'>{{ cell.text }}
<small>({{ cell.count }})</small></td>{% endif %}
{% endfor %}</tr>
{% endfor %}</table>
""")


def line_chart(title: str, curves: Mapping[str, Points]) -> Markup:
    """Curves over the same x in one frame; empty where no curve has two finite points."""
    drawn = {name: _finite(points) for name, points in curves.items()}
    drawn = {name: points for name, points in drawn.items() if len(points) > 1}
    if not drawn:
        return Markup()
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points]
    spans = (min(xs), max(xs)), (min(ys), max(ys))
    lines = []
    for (name, points), colour in zip(drawn.items(), _COLOURS, strict=False):
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(point, *spans) for point in points))
        lines.append((name, colour, places, f"{points[-1][1]:.3g}"))
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    return _CHART(
        title=title,
        lines=lines,
        width=_WIDTH,
        height=_HEIGHT,
        frame=f"M{_LEFT} {_TOP}V{bottom}H{right}",
        left=_LEFT,
        top=_TOP,
        right=right,
        bottom=bottom,
        low=f"{spans[1][0]:.3g}",
        high=f"{spans[1][1]:.3g}",
        first=f"{spans[0][0]:g}",
        last=f"{spans[0][1]:g}",
    )


def heat_map(columns: Sequence[str], rows: Mapping[str, Sequence[tuple[float, int] | None]]) -> Markup:
    """Shares from 0 to 1 with the number of problems behind each; `None` where there is none."""

    def cell(found: tuple[float, int] | None) -> dict[str, str | int] | None:
        if found is None:
            return None
        share, count = found
        return {"colour": _shade(share), "text": f"{100 * share:.0f} %", "count": count}

    return _HEAT(columns=columns, rows=[(name, [cell(one) for one in cells]) for name, cells in rows.items()])


def _finite(points: Points) -> list[tuple[float, float]]:
    kept = [(x, y) for x, y in points if isfinite(x) and isfinite(y)]
    return kept[:: max(1, len(kept) // _MOST)]


def _place(
    point: tuple[float, float], xs: tuple[float, float], ys: tuple[float, float]
) -> tuple[float, float]:
    x = (point[0] - xs[0]) / ((xs[1] - xs[0]) or 1)
    y = (point[1] - ys[0]) / ((ys[1] - ys[0]) or 1)
    return (
        _LEFT + x * (_WIDTH - _LEFT - _RIGHT),
        _HEIGHT - _BOTTOM - y * (_HEIGHT - _TOP - _BOTTOM),
    )


def _shade(share: float) -> str:
    """From light red by white to green, light enough for black text."""
    middle = abs(2 * share - 1)
    end = (178, 223, 190) if share >= 0.5 else (246, 205, 200)
    return "rgb({},{},{})".format(*(round(255 + (one - 255) * middle) for one in end))
