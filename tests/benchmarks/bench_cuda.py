"""What the cuda backend does on one GPU: evaluations a minute, KernelBench's way beside it, faults, a soak.

    python -m tests.benchmarks.bench_cuda latency|throughput|side_by_side|faults|soak|timing|all

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
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from operator import itemgetter
from pathlib import Path
from typing import Any

from evaluation.backends.base import Backend
from evaluation.backends.cascade import CascadeBackend
from evaluation.backends.cuda.backend import CudaBackend
from evaluation.backends.simt.backend import SimtBackend
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.verdict import Refusal, Status
from tests.benchmarks.load_inline import load_inline
from tests.benchmarks.simt_mix import Case, cases
from tests.evaluation.cuda_kernels import missing

SPAWN = mp.get_context("spawn")
SETTINGS = EvaluationSettings(backend=BackendName.CUDA, time_limit_s=5.0)
_KERNEL = 'extern "C" __global__ void {name}(const float* a, const float* b, float* c, int n) {{ {body} }}'
CRASH = _KERNEL.format(name="vecadd", body="c[(1ull << 40) + threadIdx.x] = a[0];")
HANG = _KERNEL.format(name="vecadd", body="while (*(volatile const float*)a == *(volatile const float*)a);")


def evaluate(backend: Backend, case: Case, source: str, seconds: dict[str, float] | None = None) -> Status:
    """One full evaluation; adds what each part took to `seconds`."""
    marks = [time.perf_counter()]
    status = _evaluate(backend, case, source, marks)
    if seconds is not None:
        for name, begin, end in zip(("build", "run", "compare"), marks[:-1], marks[1:], strict=False):
            seconds[name] = seconds.get(name, 0.0) + end - begin
    return status


def _evaluate(backend: Backend, case: Case, source: str, marks: list[float]) -> Status:
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
    """Evaluations a minute of all processes: every source new, every cubin warm, new and simt first."""
    for mode in ("compile", "warm", "simt first"):
        with tempfile.TemporaryDirectory() as folder:
            found = _together(_evaluate_for, options.processes, mode, options.seconds or 10.0, folder)
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
    on_gpu = CudaBackend(SETTINGS, Path(folder))
    backend: Backend = on_gpu
    if mode == "simt first":
        backend = CascadeBackend(SimtBackend(SETTINGS.model_copy(update={"require_sm90": False})), on_gpu)
    for case in mix:
        evaluate(backend, case, case.source)
        evaluate(backend, case, unique(case, -1 - index))  # every compiler precompiles headers once
    on_gpu.warm_up()
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


def side_by_side(options: argparse.Namespace) -> None:
    """Each kernel of the mix our way and KernelBench's (torch's load_inline), one after the other in one run.

    Two comparisons: the time of one kernel with the machine to itself, and what the whole machine does a
    minute. Theirs is the build alone, without the start of its process and without running the kernel; ours
    is the full evaluation.
    """
    ours = _together(_ours, options.processes, options.seconds or 2.0)
    for at_a_time in sorted({2, options.processes}):
        theirs, took = load_inline(at_a_time)
        machine = 60 * sum(len(found) for found in theirs.values()) / took
        for case in cases():
            alone = ours[0]["alone"][case.name]
            rate = sum(one["rates"][case.name] for one in ours)
            build = statistics.median(theirs[case.name])
            print(
                f"{case.name:10s} ours {1e3 * alone:6.1f} ms alone, {rate:6.0f}/min on {options.processes} "
                f"processes; load_inline {build:5.1f} s ({at_a_time} at a time); ratio of one kernel's times "
                f"{build / alone:5.0f}, of machine rates {rate / machine:5.0f}",
                flush=True,
            )
        rates = [sum(one["rates"][name] for one in ours) for name in ours[0]["alone"]]
        mixed = statistics.harmonic_mean(rates)  # as many evaluations of each kernel
        one_build = statistics.mean(map(statistics.median, theirs.values()))
        print(
            f"all eight, {at_a_time} builds at a time: ours {mixed:.0f}/min, load_inline {machine:.1f}/min, "
            f"ratio {mixed / machine:.0f}; while one build takes its {one_build:.1f} s the machine does "
            f"{one_build * mixed / 60:.0f} evaluations our way",
            flush=True,
        )


def _ours(barrier: Barrier, index: int, seconds: float) -> dict[str, dict[str, float]]:
    """Seconds of one evaluation while the other processes wait, and evaluations a minute beside them."""
    mix = list(cases())
    with tempfile.TemporaryDirectory() as folder:
        backend = CudaBackend(SETTINGS, Path(folder))
        for case in mix:
            evaluate(backend, case, unique(case, -1 - index))  # starts the compiler, precompiles headers
        backend.warm_up()
        barrier.wait()
        alone = {case.name: _seconds_each(backend, case, 0, count=15) for case in mix} if index == 0 else {}
        rates = {}
        for case in mix:
            barrier.wait()
            rates[case.name] = 60 / _seconds_each(backend, case, 1_000_000 * (index + 1), seconds=seconds)
        barrier.wait()
        backend.close()
    return {"alone": alone, "rates": rates}


def _seconds_each(
    backend: CudaBackend, case: Case, first: int, *, count: int | None = None, seconds: float = 0.0
) -> float:
    """Mean seconds of an evaluation over a number of new sources, or over some time."""
    begin, done = time.monotonic(), 0
    while done < count if count else time.monotonic() - begin < seconds:
        status = evaluate(backend, case, unique(case, first + done))
        assert status is Status.CORRECT, (case.name, status)
        done += 1
    return (time.monotonic() - begin) / done


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
    numbers = [range(index, options.candidates, options.processes) for index in range(options.processes)]
    with tempfile.TemporaryDirectory() as folder:
        found = _together(_soak_share, options.processes, numbers, options.seconds or 1e9, folder)
    took = max(one["seconds"] for one in found)
    answered = Counter(number for one in found for number, _ in one["verdicts"])
    outcomes = Counter(outcome for one in found for _, outcome in one["verdicts"])
    print(f"soak: {sum(answered.values())} verdicts in {took:.0f} s; {dict(outcomes)}")
    twice = sum(times > 1 for times in answered.values())
    print(
        f"of {options.candidates} candidates {options.candidates - len(answered)} have no verdict, "
        f"{twice} have more than one, {_wrong(outcomes)} have the wrong one"
    )
    growth = [one["growth_mib"] for one in found]
    print(f"memory of an evaluating process grew by at most {max(growth):.0f} MiB")
    time.sleep(2)
    print(f"GPU memory in use: {before} MiB before, {_gpu_memory_mib()} MiB after")
    print(f"processes left: {_processes_left()}", flush=True)


def _wrong(outcomes: Counter[str]) -> int:
    """Verdicts that are not what the kind of candidate must get."""
    right = {"good: correct", "crash: fault", "hang: timeout"}
    return sum(count for outcome, count in outcomes.items() if outcome not in right)


def _processes_left() -> int:
    """How many zygotes, workers and compilers are alive."""
    marks = (b"cuda_zygote", b"cuda_worker", b"nvrtc_worker")
    commands = [path for path in Path("/proc").glob("[0-9]*/cmdline")]
    return sum(any(mark in _content(path) for mark in marks) for path in commands)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended since
        return b""


def _soak_share(
    barrier: Barrier, index: int, numbers: Sequence[range], seconds: float, folder: str
) -> dict[str, Any]:
    """Judge the candidates of one process, until all are done or the time is over."""
    mix = list(cases())
    backend = CudaBackend(SETTINGS.model_copy(update={"time_limit_s": 0.5}), Path(folder))
    for case in mix:
        evaluate(backend, case, case.source)
    count = len(numbers[index])
    kinds = ["crash"] * round(0.05 * count) + ["hang"] * round(0.02 * count)
    kinds += ["good"] * (count - len(kinds))
    random.Random(index).shuffle(kinds)
    verdicts: list[tuple[int, str]] = []
    backend.warm_up()
    barrier.wait()
    start, begin = _resident_mib(), time.monotonic()
    for number, kind in zip(numbers[index], kinds, strict=True):
        if time.monotonic() - begin > seconds:
            break
        case = mix[0] if kind != "good" else mix[number % len(mix)]
        source = {"crash": CRASH, "hang": HANG, "good": case.source}[kind]
        verdicts.append((number, f"{kind}: {evaluate(backend, case, source)}"))
    took = time.monotonic() - begin
    growth = _resident_mib() - start
    backend.close()
    return {"verdicts": verdicts, "growth_mib": growth, "seconds": took}


def timing(options: argparse.Namespace) -> None:
    """Candidates timed a minute by one timer, with the settings that a rollout would use."""
    from evaluation.timing.samples import Timing, TimingSettings
    from evaluation.timing.timer import Timer
    from tests.evaluation.timing.test_bench import KERNEL, planned, problem

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
            while time.monotonic() - begin < (options.seconds or 10.0):
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
    """What `work(barrier, index, *arguments)` gives in processes that begin together, in their order."""
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
    failed = [one for _, one in found if isinstance(one, str)]
    if failed:
        raise SystemExit(f"a process failed: {failed[0]}")
    return [one for _, one in sorted(found, key=itemgetter(0))]


def _report(results: Any, work: Callable[..., Any], barrier: Barrier, index: int, *arguments: Any) -> None:
    """Hand over what the work gave, or in words why it gave nothing."""
    try:
        results.put((index, work(barrier, index, *arguments)))
    except BaseException as error:
        barrier.abort()  # the others would wait for this process
        results.put((index, repr(error)))


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _gpu_memory_mib() -> str:
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Run one section, or all of them."""
    sections = {one.__name__: one for one in (latency, throughput, side_by_side, faults, soak, timing)}
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bench_cuda",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("section", choices=[*sections, "all"])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, help="of each measurement; of the soak, at most")
    parser.add_argument("--candidates", type=int, default=20_000, help="of the soak")
    options = parser.parse_args()
    reason = missing()
    if reason:
        print(f"bench_cuda: skipped, {reason}")
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # as in the workers of the evaluation pool
    for name, section in sections.items():
        if options.section in (name, "all"):
            section(options)


if __name__ == "__main__":
    main()
