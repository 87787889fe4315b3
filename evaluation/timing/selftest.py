"""Can the figures of this machine be trusted? A copy, a kernel against itself, and kernels that cheat.

`python -m evaluation selftest`: a copy kernel must reach 80 to 100 % of the peak that was measured here, a
kernel timed against itself must come out at 1.00 within 1 %, the cost of an event is printed, and every
kernel of the hack suite that names the cuda backend must be refused.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from evaluation.backends import require_gpu
from evaluation.backends.base import Backend
from evaluation.backends.cuda.backend import CudaBackend, CudaBuilt
from evaluation.candidate import Candidate, parse_source
from evaluation.check import judge, refused
from evaluation.errors import WarpsmithError
from evaluation.plan import Plan, plan
from evaluation.problem import Dialect, Frozen, Instance, Problem, Split, Tensor
from evaluation.reference.draw import Case, Kind, Trial
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.timing.machine import fingerprint
from evaluation.timing.samples import Baseline, Timing, TimingSettings
from evaluation.timing.timer import Timer
from evaluation.verdict import Refusal, Status, Verdict

_COPY_ELEMENTS = 1 << 27
_LEAST_COPY, _MOST_COPY = 0.80, 1.00
_SAME = 0.01
_SUM_TOLERANCE = 1e-5
_SHIPPED_SUM = 1 << 22  #: elements of the two vectors at the shipped size
_EXPECTED = re.compile(r"^// expect (\w+): (.+)$", re.MULTILINE)

COPY_PROGRAM = f"""
import torch
n = {_COPY_ELEMENTS}
def fused_operator(x):
    return x.clone()
def get_inputs():
    return [torch.randn(n)]
"""
COPY_KERNEL = """
// launch copy<<<ceil_div(n, 1024), 256>>>(x, out, n)
extern "C" __global__ void copy(const float4* __restrict__ x, float4* __restrict__ out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * i + 3 < n) out[i] = x[i];
}
"""


class Finding(Frozen):
    """The outcome of one test."""

    name: str
    passed: bool
    detail: str


def run(hacks: Path | None = None, progress: Callable[[Finding], None] | None = None) -> list[Finding]:
    """Run every test on GPU 0.

    Args:
        hacks: folder with hack kernels (`*.cu`), each with a line `// expect cuda: STATUS[, STATUS]`.
        progress: called with every finding as it is made.

    Raises:
        WarpsmithError: if there is no GPU, or no PyCUDA.
    """
    found = []
    for finding in _findings(hacks):
        found.append(finding)
        if progress:
            progress(finding)
    return found


def main(options: argparse.Namespace) -> int:
    """Print every finding; the exit status is 0 if all passed. `options.hacks` is a folder, or `None`."""
    require_gpu()
    print(fingerprint().model_dump_json())
    found = run(options.hacks, _print)
    return 0 if all(finding.passed for finding in found) else 1


def _print(finding: Finding) -> None:
    print(f"{'ok  ' if finding.passed else 'FAIL'} {finding.name}: {finding.detail}", flush=True)


def copy_problem(elements: int = _COPY_ELEMENTS) -> Problem:
    """The problem whose best kernel is known: a copy."""
    shape = (elements,)
    shipped = Instance(
        program=COPY_PROGRAM.replace(str(_COPY_ELEMENTS), str(elements)),
        sizes={"n": elements},
        inputs=(Tensor(name="x", shape=shape, dtype="float32"),),
        outputs=(Tensor(name="out", shape=shape, dtype="float32"),),
    )
    return Problem(
        id="copy",
        source="self-test",
        level=1,
        split=Split.HELDOUT,
        dialect=Dialect.FUNCTION,
        operators=("clone",),
        shipped=shipped,
        checks=(shipped,),
        tolerance=1e-6,
        flops=0,
        bytes=8 * elements,
    )


def _findings(hacks: Path | None) -> Iterator[Finding]:
    settings = TimingSettings(baselines=(Baseline.SELF,), max_seconds=3.0, relative_half_width=0.002)
    backend = CudaBackend(EvaluationSettings(backend=BackendName.CUDA))
    try:
        with Timer(settings) as timer:
            peaks = timer.measure_peaks()
            rates = ", ".join(f"{name} {rate / 1e12:.0f}" for name, rate in peaks.flops_per_s.items())
            detail = f"{peaks.bytes_per_s / 1e12:.2f} TB/s; matrix products in TFLOP/s: {rates}"
            yield Finding(name="peaks", passed=True, detail=detail)
            timing = _time_copy(timer, backend)
            if isinstance(timing, Refusal):
                yield Finding(name="copy", passed=False, detail=f"{timing.status}: {timing.reason}")
            else:
                yield from _judge_copy(timing, peaks.bytes_per_s)
        yield from _hack_findings(backend, hacks)
    finally:
        backend.close()


def _time_copy(timer: Timer, backend: CudaBackend) -> Timing | Refusal:
    problem = copy_problem()
    candidate, planned = _planned(COPY_KERNEL, problem.shipped)
    built = backend.build(candidate.source, planned.kernels)
    if isinstance(built, Refusal):
        return built
    assert isinstance(built, CudaBuilt)
    return timer.time(problem, planned, built, seed=0)


def _judge_copy(timing: Timing, peak: float) -> Iterator[Finding]:
    share = 8 * _COPY_ELEMENTS / (timing.candidate.median / 1e3) / peak
    yield Finding(
        name="copy",
        passed=_LEAST_COPY <= share <= _MOST_COPY,
        detail=f"{share:.1%} of the peak ({timing.candidate.median:.4f} ms)",
    )
    same = timing.speedups[Baseline.SELF]
    yield Finding(
        name="a kernel against itself",
        passed=abs(same.median - 1) <= _SAME,
        detail=f"{same.median:.4f} ({same.low:.4f} to {same.high:.4f})",
    )
    overhead = f"{timing.event_overhead_us:.2f} us between two events"
    yield Finding(name="event overhead", passed=True, detail=overhead)
    states = "; ".join(
        f"SM {clock.sm_mhz} MHz, memory {clock.memory_mhz} MHz, {clock.temperature_c} C, "
        f"throttled by {', '.join(clock.throttled) or 'nothing'}"
        for clock in timing.clocks
    )
    yield Finding(name="clocks", passed=True, detail=states or "NVML is not available")


def expected_statuses(source: str, backend: str = BackendName.CUDA) -> set[Status]:
    """What a hack kernel says should become of it on a backend, in a line `// expect BACKEND: STATUS, ...`.

    Empty if it has no such line.
    """
    lines = dict(_EXPECTED.findall(source))
    return {Status(word.strip()) for word in lines[backend].split(",")} if backend in lines else set()


def _hack_findings(backend: CudaBackend, folder: Path | None) -> Iterator[Finding]:
    """Every hack kernel against two vectors whose sum is wanted."""
    for path in sorted(folder.glob("**/*.cu")) if folder else []:
        source = path.read_text()
        allowed = expected_statuses(source)
        if allowed:
            verdict = verdict_on(backend, source)
            detail = f"{verdict.status}: {verdict.reason}"
            yield Finding(name=path.name, passed=verdict.status in allowed, detail=detail)


def verdict_on(backend: Backend, source: str) -> Verdict:
    """What becomes of a kernel that should add two vectors, `out = x + y`; `correct` only if it does."""
    candidate = parse_source(source)
    if isinstance(candidate, Refusal):
        return refused(candidate)
    rng = np.random.default_rng()
    cases = [_sum_case(n, rng) for n in (1000, 33)]
    return judge(candidate, cases, _SUM_TOLERANCE, backend, _sum_at(_SHIPPED_SUM))


def _sum_at(n: int) -> Instance:
    x, y, out = (Tensor(name=name, shape=(n,), dtype="float32") for name in ("x", "y", "out"))
    return Instance(program="", sizes={"n": n}, inputs=(x, y), outputs=(out,))


def _sum_case(n: int, rng: np.random.Generator) -> Case:
    at = _sum_at(n)
    inputs = {name: rng.standard_normal(n).astype(np.float32) for name in ("x", "y")}
    expected = inputs["x"].astype(np.float64) + inputs["y"]
    return Case(at, Kind.OWN, Trial(inputs, {"out": expected}, {}, {}))


def _planned(source: str, at: Instance) -> tuple[Candidate, Plan]:
    candidate = parse_source(source)
    if isinstance(candidate, Refusal):
        raise WarpsmithError(f"the self-test's own kernel does not parse: {candidate.reason}")
    found = plan(candidate, at)
    if isinstance(found, Refusal):
        raise WarpsmithError(f"the self-test's own kernel cannot be planned: {found.reason}")
    return candidate, found
