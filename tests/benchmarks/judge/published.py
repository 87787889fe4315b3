"""KernelBench's published way to tell right from wrong, implemented from its description.

Five draws of the program's own inputs at its shipped shapes; the answer's outputs must be all close to what
PyTorch gives in the program's own dtype, with the same number for the absolute and the relative tolerance.
The kernel runs as on a GPU that nobody watches: block after block, outputs of `torch.empty` on fresh memory
(zeros), room behind every buffer. On a CPU the shapes are scaled down (`Program.published`): as even as the
shipped ones, but smaller.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tests.benchmarks.judge.interpreter import Ending, Interpreter, Job, Trial
from tests.benchmarks.judge.launches import plan
from tests.benchmarks.judge.programs import Program
from tests.benchmarks.judge.witness import beyond_limits

DRAWS = 5
TOLERANCES = (1e-4, 1e-2)


def close(got: torch.Tensor, expected: torch.Tensor) -> tuple[bool, ...]:
    """Whether an output passes, by tolerance."""
    got = got.to(expected.dtype)
    return tuple(bool(torch.allclose(got, expected, atol=value, rtol=value)) for value in TOLERANCES)


def passes(interpreter: Interpreter, program: Program, original: str, text: str) -> tuple[bool, ...]:
    """Whether the procedure takes a mutant for right, by tolerance."""
    refused = (False,) * len(TOLERANCES)
    if beyond_limits(text, program, original):
        return refused
    compiled = interpreter.compile(text, "published")
    if compiled is None:
        return refused
    try:
        answers = [_of_draw(program, compiled.run, text, seed) for seed in range(DRAWS)]
    except (ZeroDivisionError, ValueError, NameError, TypeError):
        return refused  # the launch lines make no sense at these sizes
    finally:
        compiled.remove()
    return tuple(all(answer[index] for answer in answers) for index in range(len(TOLERANCES)))


def _of_draw(program: Program, run, text: str, seed: int) -> tuple[bool, ...]:
    loaded = program.loaded(program.published)
    inputs = loaded.draw(1000 + seed)
    expected = loaded.reference(inputs, double=False)
    shapes: Mapping = {name: tuple(value.shape) for name, value in {**inputs, "out": expected}.items()}
    launches = plan(text, program.published, shapes)
    like = torch.empty_like(expected).contiguous()
    ((outcome, *_),) = run([Job(launches, inputs, {"out": like}, [Trial(at_end=False)])])
    if outcome.ending not in (Ending.DONE, Ending.OUTSIDE):
        return (False,) * len(TOLERANCES)
    return close(outcome.outputs["out"], expected)
