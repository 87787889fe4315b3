"""Rejects degenerate graphs by running them: a problem must be worth solving.

A graph is degenerate if its output is not finite, huge, constant, or a copy of an input, or if one
of its operators can be dropped without effect (`abs` after `exp`, say), so that a kernel could pass
without computing it. The programs are the generator's own text, so they run in this process, with
PyTorch, at the smallest ragged sizes.
"""

from __future__ import annotations

import math
from enum import StrEnum

import torch

from data.graph import Graph

#: Above this, float32 kernels drown in rounding; below, the output is as good as constant.
_LARGEST, _SMALLEST_DEVIATION = 1e4, 1e-2
#: Two outputs count as the same when more than this share of the elements is close.
_SAME_SHARE = 0.9
_CLOSE = 2e-4


class Defect(StrEnum):
    """Why a graph is not worth solving."""

    NOT_FINITE = "not finite"
    HUGE = "huge"
    CONSTANT = "constant"
    COPY = "copy of an input"
    IDLE_OPERATOR = "an operator without effect"


def defect(graph: Graph) -> Defect | None:
    """The first defect found by running the graph's program, or None for a good graph."""
    output = run(graph.check_instance().program)
    if not torch.isfinite(output).all():
        return Defect.NOT_FINITE
    if output.abs().max() > _LARGEST:
        return Defect.HUGE
    if output.std() < _SMALLEST_DEVIATION:
        return Defect.CONSTANT
    if any(_same(value, output) for value in draw_inputs(graph.check_instance().program)):
        return Defect.COPY
    return Defect.IDLE_OPERATOR if _has_idle_operator(graph, output) else None


def run(program: str) -> torch.Tensor:
    """Output of a generated program on its own inputs (seed 0), computed in float64."""
    namespace = _execute(program)
    output = namespace["fused_operator"](*(value.double() for value in _draw(namespace)))
    assert isinstance(output, torch.Tensor)
    return output.contiguous()


def draw_inputs(program: str) -> list[torch.Tensor]:
    """The inputs that `run` computes with, in float64."""
    return [value.double() for value in _draw(_execute(program))]


def _execute(program: str) -> dict:
    namespace: dict = {}
    exec(program, namespace)  # the generator's own text: templates and numbers, nothing from outside
    return namespace


def _draw(namespace: dict) -> list[torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs: list[torch.Tensor] = namespace["get_inputs"]()
    return inputs


def _has_idle_operator(graph: Graph, output: torch.Tensor) -> bool:
    """Whether the output is about the same without one of the steps."""
    shorter = (graph.without(index) for index in range(len(graph.steps)) if len(graph.steps) > 1)
    return any(_same(run(other.check_instance().program), output) for other in shorter)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape:
        return False
    close = (one - other).abs() <= _CLOSE + _CLOSE * other.abs()
    return close.double().mean().item() > _SAME_SHARE and not math.isnan(one.sum().item())
