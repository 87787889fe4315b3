"""The part of the report that is about speed: geometric means, the fast_p curve, speed-ups by class."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from evaluation.report.speed_summary import Speeds
from evaluation.timing.machine import Fingerprint

Series = tuple[str, Speeds]
"""A model's name as the report shows it, and its speeds."""

_WIDTH, _HEIGHT, _MARGIN = 460, 200, 34
_COLOURS = ("#9aa9bd", "#2f7d4f")


def speed_section(series: Sequence[Series], fingerprint: Fingerprint | None) -> str:
    """The section as HTML; empty where nothing was timed.

    Args:
        series: the models that were timed, the last one in the report's green.
        fingerprint: the machine, without which no time means anything.
    """
    if not series:
        return ""
    note = "Speed-ups are lower ends of 95 % intervals, over the fastest baseline at the same precision."
    machine = f" Timed on {escape(_machine(fingerprint))}." if fingerprint else ""
    return "".join(
        (
            "<h2>How fast they are</h2>",
            _means(series),
            _curve(series),
            _groups(series),
            f"<p class='note'>{note} Failures count as 1x.{machine} Times of machines with another "
            "fingerprint must not be compared with these.</p>",
        )
    )


def _means(series: Sequence[Series]) -> str:
    rows = [
        ("geometric mean, failures as 1x", [f"{s.geometric_mean:.3f}" for _, s in series]),
        ("geometric mean, timed kernels only", [f"{s.geometric_mean_correct:.3f}" for _, s in series]),
        ("median share of the roofline", [percent(s.roofline) for _, s in series]),
        ("timed kernels", [str(s.timed) for _, s in series]),
    ]
    thresholds = sorted(series[0][1].fast_p)
    rows += [(f"fast_{p:g}", [percent(s.fast_p[p]) for _, s in series]) for p in thresholds]
    return table(("", *(escape(name) for name, _ in series)), [(name, *cells) for name, cells in rows])


def _curve(series: Sequence[Series]) -> str:
    """fast_p against p, as an inline SVG."""
    thresholds = sorted(series[0][1].fast_p)
    lines = []
    for (name, speeds), colour in zip(series, _COLOURS[-len(series) :], strict=True):
        points = [_point(p, speeds.fast_p[p], thresholds[-1]) for p in thresholds]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dots = "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'/>" for x, y in points)
        lines.append(
            f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>{dots}"
            f"<title>{escape(name)}</title>"
        )
    axis = "".join(_tick(p, thresholds[-1]) for p in thresholds)
    x0, y0 = _point(0, 0, thresholds[-1])
    x1, y1 = _point(thresholds[-1], 1, thresholds[-1])
    frame = f"<path d='M{x0} {y1}V{y0}H{x1}' fill='none' stroke='#5a6675'/>"
    labels = f"<text x='2' y='{y1 + 4:.0f}'>100 %</text><text x='2' y='{y0:.0f}'>0</text>"
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' role='img' aria-label='fast_p curve' font-size='11'>"
        f"{frame}{labels}{axis}{''.join(lines)}</svg>"
    )


def _groups(series: Sequence[Series]) -> str:
    names = list(series[-1][1].by_group)
    rows = [(escape(name), *(f"{s.by_group[name]:.3f}" for _, s in series)) for name in names]
    return table(("speed-up by class", *(escape(name) for name, _ in series)), rows)


def _point(p: float, share: float, most: float) -> tuple[float, float]:
    x = _MARGIN + (_WIDTH - 2 * _MARGIN) * p / most
    return x, _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * share


def _tick(p: float, most: float) -> str:
    x, y = _point(p, 0, most)
    return f"<text x='{x:.0f}' y='{y + 16:.0f}' text-anchor='middle'>{p:g}x</text>"


def _machine(found: Fingerprint) -> str:
    return (
        f"{found.gpu}, driver {found.driver}, CUDA {found.cuda}, torch {found.torch} "
        f"(fingerprint {found.digest})"
    )


def percent(share: float | None) -> str:
    """A share for people."""
    return "unknown" if share is None else f"{100 * share:.1f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells that are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
