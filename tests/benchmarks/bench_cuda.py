"""What the cuda backend does on one GPU: evaluations a minute, KernelBench's way beside it, faults, a soak.

    python -m tests.benchmarks.bench_cuda latency|throughput|inline|faults|soak|timing [--processes N] ...

The mix is the eight kernels of `simt_mix`. One evaluation compiles (unless the cubin is warm), inspects the
cubin, loads it, runs every launch twice on freshly filled and guarded memory, compares guard zones, inputs
and both runs, and compares the outputs with the reference. Inputs and reference values are drawn once, as for
a group of responses to one prompt. Prints; asserts nothing about time.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from evaluation.backends.cuda import CudaBackend
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.benchmarks.simt_mix import Case, cases

SPAWN = mp.get_context("spawn")
SETTINGS = EvaluationSettings(backend=BackendName.CUDA, time_limit_s=5.0)
_KERNEL = 'extern "C" __global__ void {name}(const float* a, const float* b, float* c, int n) {{ {body} }}'
CRASH = _KERNEL.format(name="vecadd", body="c[(1ull << 40) + threadIdx.x] = a[0];")
HANG = _KERNEL.format(name="vecadd", body="while (*(volatile const float*)a == *(volatile const float*)a);")


def evaluate(
    backend: CudaBackend, case: Case, source: str, seconds: dict[str, float] | None = None
) -> Status:
    """One full evaluation; adds what each part took to `seconds`."""
    marks = [time.perf_counter()]
    status = _evaluate(backend, case, source, marks)
    if seconds is not None:
        for name, begin, end in zip(("build", "run", "compare"), marks[:-1], marks[1:], strict=False):
            seconds[name] = seconds.get(name, 0.0) + end - begin
    return status


def _evaluate(backend: CudaBackend, case: Case, source: str, marks: list[float]) -> Status:
    built = backend.build(source, case.kernels)
    marks.append(time.perf_counter())
    if isinstance(built, Refusal):
        return built.status
    outcome = backend.run(built, [case.run])
    marks.append(time.perf_counter())
    if isinstance(outcome, Refusal):
        return outcome.status
    right = case.error(outcome.outputs[0]) <= case.tolerance
    marks.append(time.perf_counter())
    return Status.CORRECT if right else Status.WRONG


def unique(case: Case, number: int) -> str:
    """The source with a function of its own, so that no cache of any compiler knows it."""
    return f"{case.source}\n__device__ int unique_{number}(int x) {{ return x * {number} + 7; }}\n"


def latency(options: argparse.Namespace) -> None:
    """Milliseconds of each part, one process, kernel by kernel."""
    backend = CudaBackend(SETTINGS)
    for case in cases():
        parts: dict[str, list[float]] = {"compile": [], "cached build": [], "run": []}
        for number in range(12):
            source = unique(case, number)
            marks = [time.perf_counter()]
            for _ in range(2):
                built = backend.build(source, case.kernels)
                marks.append(time.perf_counter())
            assert not isinstance(built, Refusal), (case.name, built)
            outcome = backend.run(built, [case.run])
            marks.append(time.perf_counter())
            assert not isinstance(outcome, Refusal), (case.name, outcome)
            for values, begin, end in zip(parts.values(), marks[:-1], marks[1:], strict=True):
                values.append(1e3 * (end - begin))
        print(
            case.name,
            {name: round(statistics.median(values), 2) for name, values in parts.items()},
            flush=True,
        )
    backend.close()


def throughput(options: argparse.Namespace) -> None:
    """Evaluations a minute of all processes together, with every source new and with every cubin warm."""
    for mode in ("compile", "warm"):
        with tempfile.TemporaryDirectory() as folder:
            found = _together(_evaluate_for, options.processes, mode, options.seconds, folder)
        total: Counter[str] = Counter()
        for one in found:
            total.update(one["statuses"])
        rate = sum(one["count"] / one["seconds"] for one in found) * 60
        count = sum(one["count"] for one in found)
        parts = {
            part: f"{1e3 * sum(one['parts'].get(part, 0.0) for one in found) / count:.2f} ms"
            for part in ("build", "run", "compare")
        }
        print(
            f"{mode}: {rate:.0f} evaluations a minute on {options.processes} processes; {dict(total)}; "
            f"an evaluation takes {parts}",
            flush=True,
        )


def _evaluate_for(barrier: Barrier, index: int, mode: str, seconds: float, folder: str) -> dict[str, Any]:
    mix = list(cases())
    backend = CudaBackend(SETTINGS, Path(folder))
    for case in mix:
        evaluate(backend, case, case.source)
        evaluate(backend, case, unique(case, -1 - index))  # every compiler precompiles headers once
    backend.warm_up()
    rng = random.Random(index)
    barrier.wait()
    parts: dict[str, float] = {}
    begin, count, statuses = time.monotonic(), 0, Counter()
    while time.monotonic() - begin < seconds:
        case = rng.choice(mix)
        source = case.source if mode == "warm" else unique(case, 1_000_000 * index + count)
        statuses[str(evaluate(backend, case, source, parts))] += 1
        count += 1
    took = time.monotonic() - begin
    barrier.wait()
    backend.close()
    return {"count": count, "seconds": took, "statuses": statuses, "parts": parts}


def inline(options: argparse.Namespace) -> None:
    """Seconds that torch's load_inline takes to build each kernel, a few at a time."""
    with tempfile.TemporaryDirectory() as folder:
        running: list[subprocess.Popen] = []
        for case in cases():
            while sum(process.poll() is None for process in running) >= options.processes:
                time.sleep(0.1)
            code = _INLINE.format(
                source=case.source.replace("\\", "\\\\"), name=case.name, folder=f"{folder}/{case.name}"
            )
            os.makedirs(f"{folder}/{case.name}")
            running.append(
                subprocess.Popen(["python3", "-c", code], env={**os.environ, "TORCH_CUDA_ARCH_LIST": "9.0"})
            )
        for process in running:
            process.wait()


_INLINE = '''
import time, torch
from torch.utils.cpp_extension import load_inline
torch.zeros(1, device="cuda")
begin = time.perf_counter()
load_inline("{name}", cpp_sources="int ready();", cuda_sources=r"""{source}
int ready() {{ return 1; }}""", functions=["ready"], build_directory="{folder}")
print("load_inline {name}: %.1f s" % (time.perf_counter() - begin), flush=True)
'''


def faults(options: argparse.Namespace) -> None:
    """Seconds from the verdict on a crash or a hang to the next verdict, in a calm and in a busy machine."""
    backend = CudaBackend(SETTINGS.model_copy(update={"time_limit_s": 0.5}))
    case = next(cases())
    evaluate(backend, case, case.source)
    time.sleep(3)
    for name, source in (("illegal address", CRASH), ("hang", HANG)):
        for pause in (1.0, 0.0):
            own, following = [], []
            for _ in range(6):
                time.sleep(pause)
                begin = time.perf_counter()
                status = evaluate(backend, case, source)
                middle = time.perf_counter()
                after = evaluate(backend, case, case.source)
                own.append(middle - begin)
                following.append(time.perf_counter() - middle)
                assert after is Status.CORRECT, after
            print(
                f"{name}, {pause:.0f} s apart: {status} after {statistics.median(own):.3f} s, the next "
                f"verdict {statistics.median(following):.3f} s later (at most {max(following):.3f} s)",
                flush=True,
            )
    backend.close()


def soak(options: argparse.Namespace) -> None:
    """Many candidates of which 5 % crash and 2 % hang: one verdict each, and nothing left behind."""
    before = _gpu_memory_mib()
    share = options.candidates // options.processes
    with tempfile.TemporaryDirectory() as folder:
        found = _together(_soak_share, options.processes, share, options.seconds, folder)
    took = max(one["seconds"] for one in found)
    total: Counter[str] = Counter()
    for one in found:
        total.update(one["outcomes"])
    growth = [one["growth_mib"] for one in found]
    asked = share * options.processes
    print(f"soak: {sum(total.values())} of {asked} verdicts in {took:.0f} s; {dict(total)}")
    print(f"memory of an evaluating process grew by at most {max(growth):.0f} MiB")
    time.sleep(2)
    print(f"GPU memory in use: {before} MiB before, {_gpu_memory_mib()} MiB after")
    left = subprocess.run(
        ["pgrep", "-fc", "cuda_zygote|nvrtc_worker"], capture_output=True, text=True
    ).stdout.strip()
    print(f"processes left: {left}", flush=True)


def _soak_share(barrier: Barrier, index: int, count: int, seconds: float, folder: str) -> dict[str, Any]:
    mix = list(cases())
    backend = CudaBackend(SETTINGS.model_copy(update={"time_limit_s": 1.0}), Path(folder))
    for case in mix:
        evaluate(backend, case, case.source)
    kinds = ["crash"] * round(0.05 * count) + ["hang"] * round(0.02 * count)
    kinds += ["good"] * (count - len(kinds))
    random.Random(index).shuffle(kinds)
    outcomes: Counter[str] = Counter()
    backend.warm_up()
    barrier.wait()
    start, deadline = _resident_mib(), time.monotonic() + seconds
    for number, kind in enumerate(kinds):
        if time.monotonic() > deadline:
            break
        case = mix[0] if kind != "good" else mix[number % len(mix)]
        source = {"crash": CRASH, "hang": HANG, "good": case.source}[kind]
        outcomes[f"{kind}: {evaluate(backend, case, source)}"] += 1
    took = time.monotonic() - (deadline - seconds)
    growth = _resident_mib() - start
    backend.close()
    return {"outcomes": outcomes, "growth_mib": growth, "seconds": took}


def timing(options: argparse.Namespace) -> None:
    """Candidates timed a minute by one timer, with the settings that a rollout would use."""
    from evaluation.timing import Timer, Timing, TimingSettings
    from tests.evaluation.test_cuda_timing import KERNEL, planned, problem

    backend = CudaBackend(SETTINGS)
    built = backend.build(KERNEL, ["k"])
    of = problem()
    plan = planned(KERNEL, of.shipped)
    for label, settings in (
        ("20 samples at least, no minimum of seconds", TimingSettings(min_seconds=0, max_seconds=0.5)),
        ("defaults", TimingSettings()),
    ):
        with Timer(settings) as timer:
            timer.time(of, plan, built, seed=0)
            begin, widths, samples = time.monotonic(), [], []
            while time.monotonic() - begin < options.seconds:
                found = timer.time(of, plan, built, seed=0)
                assert isinstance(found, Timing), found
                samples.append(found.candidate.samples)
                widths.append((found.speedup.high - found.speedup.low) / 2 / found.speedup.median)
            rate = 60 * len(widths) / (time.monotonic() - begin)
        print(
            f"timing, {label}: {rate:.0f} a minute, {statistics.median(samples):.0f} samples, half-width of "
            f"the speed-up's interval {statistics.median(widths):.2%}",
            flush=True,
        )
    backend.close()


def _together(work: Callable[..., Any], processes: int, *arguments: Any) -> list[Any]:
    """Run `work(barrier, index, *arguments)` in several processes that begin at the same time."""
    barrier, results = SPAWN.Barrier(processes), SPAWN.Queue()
    started = [
        SPAWN.Process(target=_report, args=(results, work, barrier, index, *arguments))
        for index in range(processes)
    ]
    for process in started:
        process.start()
    found = [results.get() for _ in started]
    for process in started:
        process.join()
    return found


def _report(results: Any, work: Callable[..., Any], *arguments: Any) -> None:
    results.put(work(*arguments))


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _gpu_memory_mib() -> str:
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Run one section."""
    sections = {one.__name__: one for one in (latency, throughput, inline, faults, soak, timing)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", choices=sections)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--candidates", type=int, default=20_000)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # as in the workers of the evaluation pool
    sections[options.section](options)


if __name__ == "__main__":
    main()
