"""Rejects degenerate graphs by running them: a problem must be worth solving.

A graph is degenerate if its output is not finite, huge, constant, or a copy of an input, or if one
of its operators can be dropped without effect (`abs` after `exp`, say), so that a kernel could pass
without computing it. The programs are the generator's own text, so they run in this process, with
PyTorch, at the smallest ragged sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import torch

from data.graph import Graph
from data.rendering import check_instance

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
    program = check_instance(graph).program
    outputs = run(program)
    inputs = draw_inputs(program)
    found = [defect for output in outputs if (defect := _defect(output, inputs, program)) is not None]
    if found:
        return found[0]
    return Defect.IDLE_OPERATOR if _has_idle_operator(graph, outputs) else None


def _defect(output: torch.Tensor, inputs: Sequence[torch.Tensor], program: str) -> Defect | None:
    if not torch.isfinite(output).all():
        return Defect.NOT_FINITE
    if output.abs().max() > _LARGEST:
        return Defect.HUGE
    if output.numel() > 1 and output.std() < _SMALLEST_DEVIATION:
        return Defect.CONSTANT
    if output.numel() == 1 and all(_same(*pair) for pair in zip(run(program), run(program, 1), strict=True)):
        return Defect.CONSTANT
    return Defect.COPY if any(_same(value.double(), output) for value in inputs) else None


def run(program: str, seed: int = 0) -> list[torch.Tensor]:
    """Outputs of a generated program on its own inputs, computed in float64."""
    namespace = _execute(program)
    outputs = namespace["fused_operator"](*map(_wide, _draw(namespace, seed)))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return [output.double().contiguous() for output in outputs]


def draw_inputs(program: str) -> list[torch.Tensor]:
    """The inputs that `run` computes with, those in floating point in float64."""
    return [_wide(value) for value in _draw(_execute(program), 0)]


def _wide(value: torch.Tensor) -> torch.Tensor:
    return value.double() if value.is_floating_point() else value


def _execute(program: str) -> dict:
    namespace: dict = {}
    exec(program, namespace)  # the generator's own text: templates and numbers, nothing from outside
    return namespace


def _draw(namespace: dict, seed: int) -> list[torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inputs: list[torch.Tensor] = namespace["get_inputs"]()
    return inputs


def _has_idle_operator(graph: Graph, outputs: Sequence[torch.Tensor]) -> bool:
    """Whether the outputs are about the same without one of the nodes."""
    shorter = (graph.without(node) for node in graph.nodes if len(graph.nodes) > 1)
    programs = (check_instance(other).program for other in shorter if other is not None)
    return any(all(map(_same, run(program), outputs)) for program in programs)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape:
        return False
    close = (one - other).abs() <= _CLOSE + _CLOSE * other.abs()
    return close.double().mean().item() > _SAME_SHARE and not math.isnan(one.sum().item())
