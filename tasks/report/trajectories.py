"""What the model wrote while it was trained: `trajectories.html`, made of rollouts.jsonl.

For some steps every rollout with its prompt, verdict, reward and advantage; and for the problems that came up
most often, how the answers changed from step to step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from markupsafe import Markup

from evaluation.report.page import part
from training.objective.advantages import group_advantages
from training.settings.optimization import Advantage

Rollout = Mapping[str, Any]
"""A row of rollouts.jsonl."""

#: So many steps are shown, evenly from first to last, and so many problems.
_STEPS, _PROBLEMS = 8, 12
#: Characters of a response that a page shows.
_MOST = 6000
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#1c2530}
h2{font-size:1.15rem;border-bottom:1px solid #d5dbe3}td,th{padding:.2rem .6rem;text-align:left}
pre{background:#f5f7fa;padding:.7rem;overflow:auto;max-height:24rem;white-space:pre-wrap}
summary{cursor:pointer}details details{margin-left:1rem}
"""
_PAGE = part("""\
<!doctype html><html lang='en'><meta charset='utf-8'>
<meta http-equiv='Content-Security-Policy' content="default-src 'none'; style-src 'unsafe-inline'">
<title>Rollouts of {{ night }}</title><style>{{ style }}</style>
<h1>Rollouts of night {{ night }}</h1>
<p>{{ shown }} of {{ steps }} steps. The advantage is that of the reward in its group
({{ advantage }}), before any clipping.</p>
{% for step, groups in chosen %}
<h2>Step {{ step }}</h2>
{% for group in groups %}
<details><summary>{{ group.problem }} &middot; mean reward {{ "%.3f" | format(group.mean) }} &middot;
{{ group.correct }} of {{ group.rollouts | length }} correct</summary>
<pre>{{ group.prompt }}</pre>
{% for rollout, advantage in group.rollouts %}
<details><summary>reward {{ "%.3f" | format(rollout.reward) }} &middot; advantage
{{ "%+.3f" | format(advantage) }} &middot; {{ rollout.status }} &middot; {{ rollout.tokens }} tokens
{{ "(truncated)" if rollout.truncated }}</summary>
<p>{{ rollout.reason }}</p><pre>{{ rollout.response[:most] }}</pre></details>
{% endfor %}</details>
{% endfor %}{% endfor %}
<h2>How answers changed</h2>
{% for problem, history in problems %}
<details><summary>{{ problem }}: {{ history | length }} steps, best reward
{{ "%.3f" | format(history[0].best.reward) }} &rarr; {{ "%.3f" | format(history[-1].best.reward) }}</summary>
{% for one in history %}
<details><summary>step {{ one.step }}: mean reward {{ "%.3f" | format(one.mean) }}, the best is
{{ one.best.status }}</summary><p>{{ one.best.reason }}</p>
<pre>{{ one.best.response[:most] }}</pre></details>
{% endfor %}</details>
{% endfor %}
</html>
""")


def trajectories_page(
    night: str, rollouts: Sequence[Rollout], prompts: Mapping[str, str], advantage: Advantage
) -> str:
    """The page as HTML.

    Args:
        night: its name.
        rollouts: rows of rollouts.jsonl, by rising step.
        prompts: what each problem's prompt says, by problem id.
        advantage: how training made advantages of rewards.
    """
    steps = sorted({int(row["step"]) for row in rollouts})
    chosen = [(step, _groups(rollouts, step, prompts, advantage)) for step in _evenly(steps)]
    return str(
        _PAGE(
            night=night,
            style=Markup(_STYLE),
            steps=len(steps),
            shown=len(chosen),
            chosen=chosen,
            advantage=advantage.value,
            problems=_histories(rollouts),
            most=_MOST,
        )
    )


def _evenly(steps: Sequence[int]) -> list[int]:
    if len(steps) <= _STEPS:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (_STEPS - 1))] for i in range(_STEPS)]


def _groups(
    rollouts: Sequence[Rollout], step: int, prompts: Mapping[str, str], advantage: Advantage
) -> list[dict[str, Any]]:
    """The groups of a step, each with its rollouts and their advantages, the best rollout first."""
    rows = [row for row in rollouts if row["step"] == step]
    rewards = torch.tensor([float(row["reward"]) for row in rows])
    names = torch.tensor([int(row["group"]) for row in rows])
    advantages = group_advantages(rewards, names, advantage).tolist()
    groups: dict[int, list[tuple[Rollout, float]]] = {}
    for row, value in zip(rows, advantages, strict=True):
        groups.setdefault(int(row["group"]), []).append((row, value))
    return [
        {
            "problem": str(found[0][0]["problem_id"]),
            "prompt": prompts.get(str(found[0][0]["problem_id"]), "(its prompt is not known any more)"),
            "mean": sum(float(row["reward"]) for row, _ in found) / len(found),
            "correct": sum(row["status"] == "correct" for row, _ in found),
            "rollouts": sorted(found, key=lambda pair: -float(pair[0]["reward"])),
        }
        for found in groups.values()
    ]


def _histories(rollouts: Sequence[Rollout]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The problems that came up in most steps, with what their best answers were."""
    by_problem: dict[str, dict[int, list[Rollout]]] = {}
    for row in rollouts:
        by_problem.setdefault(str(row["problem_id"]), {}).setdefault(int(row["step"]), []).append(row)
    often = sorted(by_problem.items(), key=lambda item: (-len(item[1]), item[0]))[:_PROBLEMS]
    return [
        (
            problem,
            [
                {
                    "step": step,
                    "mean": sum(float(row["reward"]) for row in rows) / len(rows),
                    "best": max(rows, key=lambda row: float(row["reward"])),
                }
                for step, rows in sorted(steps.items())
            ],
        )
        for problem, steps in often
    ]
