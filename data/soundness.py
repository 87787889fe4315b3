"""Is a problem worth solving? It is not, if its own check accepts an answer that leaves out the work.

Every problem is tried with the mutants of `evaluation.programs.mutations` on draws of different kinds; so
does the check. A check demands right outputs at all of its sizes, so a mutant that is rejected at one of them
is rejected by the check. The smallest size therefore comes first, and the others follow only while some
mutant is left: the answer is that of all sizes, at little more than the price of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from data.generator import Generated
from data.rendering import narrow_instance
from evaluation.problem import Instance, Problem
from evaluation.programs.mutations import Mutation, Survivor, survivors
from evaluation.reference.draw import Draw, Kind, Trial
from evaluation.reference.pool import ReferencePool
from evaluation.reference.syntax import ProgramError

#: Draws that are compared two by two; the second pair is for what the first lets pass.
_PAIRS = ((Draw(Kind.OWN, 0), Draw(Kind.SIGNED, 1)), (Draw(Kind.BELOW, 2), Draw(Kind.LARGE, 3)))
#: Outputs this close, relative to the largest value, differ by the rounding of float64 alone.
_ROUNDING = 1e-9


def sound(item: Generated, reference: ReferencePool, *, refuse_idle_inputs: bool) -> Generated | str:
    """The generated problem, with a further, narrow check size if it needs one; or why it is refused."""
    try:
        return _hardened(item, reference, refuse_idle_inputs=refuse_idle_inputs)
    except ProgramError as error:  # a drawn graph may overflow on its own inputs
        return str(error)


def _hardened(item: Generated, reference: ReferencePool, *, refuse_idle_inputs: bool) -> Generated | str:
    if unsound(item.problem, reference) is None:
        return item
    checks = (*item.problem.checks, narrow_instance(item.graph))
    hardened = item.problem.model_copy(update={"checks": checks})
    reason = unsound(hardened, reference)
    if reason is None:
        return replace(item, problem=hardened)
    if not refuse_idle_inputs and unsound(hardened, reference, idle_inputs=True) is None:
        return item
    return reason


def unsound(problem: Problem, reference: ReferencePool, *, idle_inputs: bool = False) -> str | None:
    """Why the problem is refused: the first mutant that its check accepts at every size.

    An input that cancels out (`y` in `x + y - y`) may be left out: that is right, whatever the inputs.
    Unless `idle_inputs` are allowed, it is a reason to refuse the problem all the same.

    Raises ProgramError if the reference program fails.
    """
    alive: list[Survivor] | None = None
    smallest, *others = sorted(problem.checks, key=_elements)
    tries = [(smallest, pair) for pair in _PAIRS] + [(instance, _PAIRS[0]) for instance in others]
    for instance, pair in tries:
        found = _survivors(instance, pair, problem.tolerance, reference, idle_inputs)
        alive = found if alive is None else [survivor for survivor in alive if survivor in found]
        if not alive:
            return None
    return alive[0].reason if alive else None


def _survivors(
    instance: Instance,
    pair: tuple[Draw, Draw],
    tolerance: float,
    reference: ReferencePool,
    idle_inputs: bool,
) -> list[Survivor]:
    """The mutants accepted at one size. Ignoring an input must pass on both draws, so each has its turn."""
    one, other = pair
    trials = dict(zip(pair, reference.trials([(instance, draw) for draw in pair]), strict=True))

    def accepted(first: Draw, second: Draw) -> list[Survivor]:
        tensors = instance.inputs + instance.parameters
        tried = {
            name: _dependent(outputs, trials[second])
            for name, outputs in reference.ignoring(instance, second, first).items()
            if not _may_be_ignored(name, outputs, instance, trials[first], trials[second], idle_inputs)
        }
        return survivors(tensors, instance.outputs, trials[first], trials[second], tolerance, tried)

    found = accepted(one, other)
    if all(survivor.mutation is not Mutation.IGNORED for survivor in found):
        return found
    again = accepted(other, one)
    return [one for one in found if one.mutation is not Mutation.IGNORED or one in again]


def _may_be_ignored(
    name: str,
    outputs: Mapping[str, np.ndarray],
    instance: Instance,
    first: Trial,
    second: Trial,
    idle_inputs: bool,
) -> bool:
    """Whether leaving this tensor out leaves out no work.

    So it is where both draws hold the same (a mask, a counter), for a parameter without influence (the
    running statistics of a norm in training mode), and for such an input where those are allowed.
    """
    if np.array_equal(first.inputs[name], second.inputs[name]):
        return True
    is_parameter = name in {tensor.name for tensor in instance.parameters}
    return (is_parameter or idle_inputs) and all(
        _same(value, second.expected[output]) for output, value in outputs.items()
    )


def _dependent(outputs: Mapping[str, np.ndarray], trial: Trial) -> Mapping[str, np.ndarray]:
    """The outputs that follow from an input, of several; where none does, all of them."""
    found = {name: value for name, value in outputs.items() if not _same(value, trial.expected[name])}
    return found or outputs


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two outputs are equal, but for the rounding of float64."""
    scale = float(np.abs(right).max(initial=0.0))
    return bool(np.allclose(left, right, rtol=0, atol=_ROUNDING * scale))


def _elements(instance: Instance) -> int:
    return sum(tensor.numel for tensor in (*instance.inputs, *instance.parameters, *instance.outputs))
