"""The folded list of a night's problems, which a few lines of plain JavaScript search and filter."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from evaluation.problem import Problem
from evaluation.report.figures import Figures
from evaluation.report.page import part
from evaluation.report.summary import Contender, Sample

#: The page's only script; everything is on the page without it as well.
_SCRIPT = """
const rows = [...document.querySelectorAll('#problems details')];
const search = document.getElementById('search');
const selects = [...document.querySelectorAll('#filters select')];
function show() {
  const words = search.value.toLowerCase().split(' ').filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = words.every(word => row.dataset.text.includes(word)) &&
      selects.every(one => !one.value || row.dataset[one.name] === one.value);
    row.hidden = !fits;
    shown += fits;
  }
  document.getElementById('shown').textContent = shown + ' of ' + rows.length;
}
search.addEventListener('input', show);
selects.forEach(one => one.addEventListener('change', show));
show();
"""
#: Only this script may run on a page that shows what a model wrote.
SCRIPT_HASH = "sha256-" + base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()

_LIST = part("""
<p id='filters'><input id='search' type='search' placeholder='operator, status, words of a reason'>
{% for name, values in filters %}
<select name='{{ name }}'><option value=''>any {{ name }}</option>
{% for value in values %}<option>{{ value }}</option>{% endfor %}</select>
{% endfor %} <span id='shown'></span></p>
<div id='problems'>
{% for row in rows %}
<details data-text='{{ row.text }}' data-level='{{ row.level }}' data-status='{{ row.status }}'
 data-change='{{ row.change }}'><summary>{{ row.head }}</summary>
<pre>{{ row.program }}</pre>
{% for name, sample in row.kernels %}
<p>{{ name }}, {{ sample.checks.status.value }}: {{ sample.checks.reason }}</p>
<pre>{{ sample.response }}</pre>
{% endfor %}</details>
{% endfor %}</div>
<script>{{ script }}</script>
""")


def problem_list(
    problems: Sequence[Problem],
    figures: Mapping[Contender, Mapping[str, Figures]],
    best: Mapping[tuple[str, Contender], Sample],
) -> Markup:
    """All problems, those that became worse first, each with its best kernels of both models."""
    rows = [_row(problem, figures, best) for problem in problems]
    rows.sort(key=lambda row: (row["gain"], row["id"]))
    filters = {name: sorted({str(row[name]) for row in rows}) for name in ("level", "status", "change")}
    return _LIST(rows=rows, filters=list(filters.items()), script=Markup(_SCRIPT))


def _row(
    problem: Problem,
    figures: Mapping[Contender, Mapping[str, Figures]],
    best: Mapping[tuple[str, Contender], Sample],
) -> dict[str, object]:
    before, after = (figures[contender][problem.id].correct for contender in Contender)
    sample = best[problem.id, Contender.TRAINED]
    operators, status = " + ".join(problem.operators), sample.checks.status.value
    head = [
        f"{100 * before:.0f} % \u2192 {100 * after:.0f} %",
        problem.id,
        f"level {problem.level}",
        operators,
    ]
    if sample.speedup is not None:
        head.append(f"{sample.speedup:.2f}x")
    if not sample.checks.correct:
        head.append(f"{status}: {sample.checks.reason[:80]}")
    gain = after - before
    return {
        "id": problem.id,
        "gain": gain,
        "head": " \u00b7 ".join(head),
        "text": " ".join(head).lower(),
        "level": problem.level,
        "status": status,
        "change": "worse" if gain < 0 else "better" if gain > 0 else "as before",
        "program": problem.shipped.program,
        "kernels": [("trained", sample), ("before", best[problem.id, Contender.START])],
    }
