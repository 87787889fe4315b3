"""The evaluator on the command line.

`python -m evaluation check KERNEL.cu --program PROGRAM.py` gives the verdict that the reward uses, and why;
on the cuda backend with the speed-up. A kernel written as an extension of torch is taken over first.
`benchmark` judges a file of responses. `selftest` says whether this machine's figures can be trusted. The
exit status is 0 for a correct kernel (all tests passed), 1 for any other verdict, 2 for an error (one
sentence on stderr).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from evaluation.errors import WarpsmithError

if TYPE_CHECKING:  # all else is imported where it is used: it takes a second
    from evaluation.backends.base import Backend
    from evaluation.extension.outcome import Adapted
    from evaluation.reference.pool import ReferencePool
    from evaluation.timing.stopwatch import Stopwatch
    from evaluation.verdict import Verdict

_FAREWELL_S = 6.0
"""Seconds after the deadline in which workers are ended and the error is printed."""


class UsageError(WarpsmithError):
    """The command line does not make sense, or names a file that cannot be read."""


class DeadlineError(WarpsmithError):
    """A check took too long."""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one sentence, like every other error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    as_json = "--json" in (sys.argv if arguments is None else arguments)
    try:
        options = _parser().parse_args(arguments)
        if getattr(options, "seed", 0) is None:  # nobody can have written down the answers
            options.seed = int.from_bytes(os.urandom(6), "big")
        return int(options.run(options))
    except WarpsmithError as error:
        return _report_error(str(error), as_json)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not as_json:
            raise
        traceback.print_exc()  # a bug of ours; whoever reads the object still gets one
        return _report_error(f"the evaluator failed ({type(error).__name__})", as_json)


def _report_error(reason: str, as_json: bool) -> int:
    """Say in one sentence, or in one object, why there is no verdict; the exit status."""
    print(f"error: {reason}", file=sys.stderr)
    if as_json:
        print(json.dumps({"status": "error", "reason": reason}), flush=True)
    return 2


@contextmanager
def _deadline(seconds: float, as_json: bool) -> Iterator[None]:
    """Raise DeadlineError in what takes longer; end the process where even that does not get through."""
    reason = f"the check did not finish within {seconds:g} s; raise --deadline, or look at what is slow"

    def overdue(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGALRM, hopeless)
        signal.setitimer(signal.ITIMER_REAL, _FAREWELL_S)
        raise DeadlineError(reason)

    def hopeless(_signal: int, _frame: object) -> None:
        os._exit(_report_error(reason, as_json))

    before = signal.signal(signal.SIGALRM, overdue)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def describe(verdict: Verdict) -> str:
    """A verdict in a line for people."""
    line = f"{verdict.status}: {verdict.reason}"
    if verdict.measurements is not None:
        line += f"; the largest error is {verdict.measurements.max_error:.1%} of what is allowed"
    return line


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m evaluation", description="Judge CUDA kernels.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_check(commands.add_parser("check", help="judge one kernel", allow_abbrev=False))
    test = commands.add_parser("selftest", help="can this GPU's figures be trusted?", allow_abbrev=False)
    test.add_argument("--hacks", type=Path, help="folder with kernels that cheat; each must be refused")
    test.set_defaults(run=_selftest)
    _add_benchmark(commands.add_parser("benchmark", help="judge a file of responses", allow_abbrev=False))
    return parser


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "kernel",
        type=Path,
        help="a .cu file with launch lines, a response with a cuda block, or an extension of torch",
    )
    command.add_argument("--program", type=Path, required=True, help="the PyTorch reference program")
    _add_backend(command)
    command.add_argument("--json", action="store_true", help="print the verdict, or the error, as one object")
    command.add_argument("--no-timing", action="store_true", help="on a GPU, give the verdict alone")
    command.add_argument("--show", action="store_true", help="print what became of an extension of torch")
    command.add_argument("--deadline", type=float, default=90.0, help="seconds for the whole check (90)")
    command.add_argument(
        "--thought-open", action="store_true", help="the response's prompt ended inside a thought"
    )
    command.set_defaults(run=_print_check)


def _add_benchmark(command: argparse.ArgumentParser) -> None:
    command.add_argument("--responses", type=Path, required=True, help="JSONL of problem_id and response")
    command.add_argument("--problems", type=Path, required=True, help="problems.jsonl that they answer")
    command.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for the report")
    command.add_argument("--workers", type=int, default=2, help="processes that judge side by side")
    _add_backend(command)
    command.set_defaults(run=_benchmark)


def _add_backend(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--backend",
        choices=["cuda", "simt"],
        default="simt",
        help="CPU (simt) or GPU (cuda)",
    )
    command.add_argument("--seed", type=int, help="seed of sizes and inputs; drawn anew if not given")


def _benchmark(options: argparse.Namespace) -> int:
    """Judge all responses, and print the headline."""
    from evaluation.problem import Problem
    from evaluation.report.run import BenchmarkError, Response, run
    from evaluation.report.summary import Benchmark
    from evaluation.rows import read_rows
    from evaluation.settings import EvaluationSettings

    try:
        settings = EvaluationSettings(backend=options.backend, workers=options.workers)
    except ValueError:
        raise BenchmarkError(f"--workers must be from 1 to 256, not {options.workers}") from None
    problems, responses = read_rows(Problem, options.problems), read_rows(Response, options.responses)
    report = run(problems, responses, settings, seed=options.seed, out=options.out)
    found = report.trained if isinstance(report, Benchmark) else report
    line = f"correct@1: {found.correct:.1%} of {found.samples} samples"
    if found.speeds is not None:
        line += f"; speed-up {found.speeds.geometric_mean:.3f}x (failures as 1x)"
    print(f"{line}; the report is {options.out / 'report.html'}")
    return 0


def _selftest(options: argparse.Namespace) -> int:
    from evaluation.timing.selftest import main as selftest

    return selftest(options)


def _print_check(options: argparse.Namespace) -> int:
    with _deadline(options.deadline, options.json):
        verdict, adapted = _check(options)
    if options.json:
        taken = {} if adapted is None else {"adapted": adapted.text}
        print(json.dumps(verdict.model_dump(mode="json") | {"seed": options.seed} | taken))
    else:
        if adapted is not None:
            print(f"taken over from an extension of torch: {adapted.summary}")
            print(adapted.text * options.show, end="")
        print(f"{describe(verdict)} (seed {options.seed})")
    return 0 if verdict.correct else 1


def _check(options: argparse.Namespace) -> tuple[Verdict, Adapted | None]:
    """Judge the kernel of the command line; cheap errors come before the reference starts.

    With it the kernel file that was made of an extension of torch.
    """
    kernel, program = _read(options.kernel, "kernel"), _read(options.program, "program")
    from evaluation.reference.pool import ReferencePool

    with ReferencePool() as reference:
        reference.start()  # everything else is imported and started while it imports torch
        return _judged(kernel, program, reference, options)


def _judged(
    kernel: str, program: str, reference: ReferencePool, options: argparse.Namespace
) -> tuple[Verdict, Adapted | None]:
    from evaluation.answer.response import THOUGHT, as_response
    from evaluation.backends import open_backend
    from evaluation.check import SizeSet, check, refused
    from evaluation.extension.adapt import adapt, is_extension
    from evaluation.extension.outcome import Refused
    from evaluation.programs.program import problem_from_program
    from evaluation.settings import EvaluationSettings

    text = THOUGHT * options.thought_open + kernel
    adapted = None
    backend = open_backend(EvaluationSettings(backend=options.backend))
    try:
        with nullcontext() if options.no_timing else _stopwatch(backend) as stopwatch:
            with ThreadPoolExecutor(1) as beside:
                warm = beside.submit(backend.warm_up)
                problem = problem_from_program(
                    program,
                    id=options.program.stem,
                    source="command line",
                    seed=options.seed,
                    reference=reference,
                )
            warm.result()
            if is_extension(text):
                taken = adapt(text, problem)
                if isinstance(taken, Refused):
                    return refused(taken.refusal), None
                adapted, kernel = taken, taken.text
            verdict = check(
                problem,
                THOUGHT * (options.thought_open and adapted is None) + as_response(kernel),
                sizes=SizeSet.CHECKS,
                seed=options.seed,
                backend=backend,
                reference=reference,
                stopwatch=stopwatch,
            )
            return verdict, adapted
    finally:
        backend.close()


def _stopwatch(backend: Backend) -> AbstractContextManager[Stopwatch | None]:
    """Times on the GPU, against both baselines; nothing on the CPU."""
    from evaluation.settings import BackendName

    if backend.name != BackendName.CUDA:
        return nullcontext()
    from evaluation.backends.cascade import CascadeBackend
    from evaluation.backends.cuda.backend import CudaBackend
    from evaluation.timing.samples import REPORT
    from evaluation.timing.stopwatch import Stopwatch

    on_gpu = backend.last if isinstance(backend, CascadeBackend) else backend
    assert isinstance(on_gpu, CudaBackend)
    return Stopwatch(on_gpu, REPORT)


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"the {what} file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the {what} file {path} is not UTF-8 text") from None


if __name__ == "__main__":
    sys.exit(main())
