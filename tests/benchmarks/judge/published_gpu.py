"""The published procedure on a GPU, at the shipped shapes, in processes that may die."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch

from evaluation.backends.cuda.arguments import typed_launches
from evaluation.backends.cuda.backend import CudaBackend
from evaluation.candidate import parse
from evaluation.plan import Plan, plan
from evaluation.problem import Problem
from evaluation.verdict import Refusal
from tests.benchmarks.judge.corpus import programs
from tests.benchmarks.judge.published import DRAWS, TOLERANCES, close

_REFUSED = (False,) * len(TOLERANCES)
_SECONDS = 60.0


@dataclass(frozen=True)
class _Ready:
    """A compiled mutant and its launches at the shipped sizes."""

    index: int
    cubin: bytes
    kernels: dict[str, list[str]]
    launches: list[dict[str, Any]]
    buffers: Plan


def passes(
    problems: Sequence[Problem], responses: Sequence[str], backend: CudaBackend, workers: int
) -> list[tuple[bool, ...]]:
    """Whether the procedure takes each response for right, by tolerance; a crash or a hang is wrong."""
    found: dict[int, tuple[bool, ...]] = {}
    waiting: dict[str, list[_Ready]] = {}
    for index, (problem, response) in enumerate(zip(problems, responses, strict=True)):
        ready = _prepared(index, problem, response, backend)
        if ready is None:
            found[index] = _REFUSED
        else:
            waiting.setdefault(problem.id, []).append(ready)
    groups = list(waiting.items())
    while groups:
        with get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
            answers = [(group, pool.apply_async(_judge, group)) for group in groups]
            groups = []
            for (name, ready), answer in answers:
                try:
                    done = answer.get(_SECONDS + 2.0 * len(ready))
                except Exception:  # the process hung or died with the first of them
                    done = [_REFUSED]
                found.update(zip((each.index for each in ready), done, strict=False))
                if len(done) < len(ready):
                    groups.append((name, ready[len(done) :]))
    return [found[index] for index in range(len(responses))]


def _prepared(index: int, problem: Problem, response: str, backend: CudaBackend) -> _Ready | None:
    candidate = parse(response)
    if isinstance(candidate, Refusal):
        return None
    planned = plan(candidate, problem.shipped)
    if isinstance(planned, Refusal):
        return None
    built = backend.build(candidate.source, planned.kernels)
    if isinstance(built, Refusal):
        return None
    names = {buffer.tensor.name: buffer.tensor.name for buffer in planned.buffers}
    launches = typed_launches(planned, names, built.kernels)
    if isinstance(launches, Refusal):
        return None
    return _Ready(index, built.cubin, built.parameter_types, launches, planned)


def _judge(name: str, ready: Sequence[_Ready]) -> list[tuple[bool, ...]]:
    """Answers in order, up to the first kernel that leaves the context broken."""
    from evaluation.backends.cuda.device import Device, LaunchRefused

    device = Device(0)
    loaded = programs()[name].loaded(programs()[name].shipped)
    draws = []
    for seed in range(DRAWS):
        inputs = {key: value.cuda() for key, value in loaded.draw(1000 + seed).items()}
        draws.append((inputs, loaded.reference(inputs, double=False)))
    torch.cuda.synchronize()
    answers: list[tuple[bool, ...]] = []
    for each in ready:
        try:
            answers.append(_run(device, each, draws))
        except LaunchRefused:
            answers.append(_REFUSED)
        except Exception:  # an illegal access: nothing more can run in this process
            return [*answers, _REFUSED]
    return answers


def _run(
    device: Any, each: _Ready, draws: Sequence[tuple[dict[str, torch.Tensor], torch.Tensor]]
) -> tuple[bool, ...]:
    module = device.load(each.cubin, each.kernels)
    answers = []
    for inputs, expected in draws:
        buffers = dict(inputs)
        for buffer in each.buffers.buffers:
            tensor = buffer.tensor
            if tensor.name not in buffers:
                dtype = getattr(torch, tensor.dtype)
                buffers[tensor.name] = torch.empty(tensor.shape, dtype=dtype, device="cuda")
        torch.cuda.synchronize()
        for launch in each.launches:
            values = [buffers[x].data_ptr() if kind == "buffer" else x for kind, x in launch["arguments"]]
            module.bind(launch, values)(device.stream)
        device.stream.synchronize()
        answers.append(close(buffers["out"].reshape(expected.shape), expected))
    return tuple(all(answer[index] for answer in answers) for index in range(len(TOLERANCES)))
