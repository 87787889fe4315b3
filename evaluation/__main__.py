"""`python -m evaluation check KERNEL.cu --program PROGRAM.py`: the verdict that the reward uses, and why.

The exit status is 0 for a correct kernel, 1 for any other verdict, 2 for an error (one sentence on stderr).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from evaluation.backends import open_backend
from evaluation.check import SizeSet, check
from evaluation.errors import WarpsmithError
from evaluation.program import problem_from_program
from evaluation.reference import ReferencePool
from evaluation.settings import BackendName, EvaluationSettings
from evaluation.verdict import Verdict


class UsageError(WarpsmithError):
    """The command line does not make sense, or names a file that cannot be read."""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one sentence, like every other error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    try:
        options = _parser().parse_args(arguments)
        verdict = _check(options)
    except WarpsmithError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    print(json.dumps(verdict.model_dump(mode="json")) if options.json else describe(verdict))
    return 0 if verdict.correct else 1


def describe(verdict: Verdict) -> str:
    """A verdict in a line for people."""
    line = f"{verdict.status}: {verdict.reason}"
    if verdict.measurements is not None:
        line += f"; the largest error is {verdict.measurements.max_error:.1%} of what is allowed"
    return line


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m evaluation", description="Judge CUDA kernels.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="check")
    command = commands.add_parser("check", help="judge one kernel", allow_abbrev=False)
    command.add_argument(
        "kernel", type=Path, help="a .cu file with launch lines, or a response with a cuda block"
    )
    command.add_argument("--program", type=Path, required=True, help="the PyTorch reference program")
    command.add_argument(
        "--backend",
        choices=[name.value for name in BackendName],
        default="simt",
        help="CPU (simt) or GPU (cuda)",
    )
    command.add_argument("--seed", type=int, default=0, help="seed of the random inputs")
    command.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    return parser


def _check(options: argparse.Namespace) -> Verdict:
    """Judge the kernel of the command line; cheap errors come before the reference starts."""
    response = _response(_read(options.kernel, "kernel"))
    program = _read(options.program, "program")
    backend = open_backend(EvaluationSettings(backend=options.backend))
    try:
        with ReferencePool() as reference:
            problem = problem_from_program(
                program, id=options.program.stem, source="command line", reference=reference
            )
            return check(
                problem,
                response,
                sizes=SizeSet.CHECKS,
                seed=options.seed,
                backend=backend,
                reference=reference,
            )
    finally:
        backend.close()


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the {what} file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the {what} file {path} is not UTF-8 text") from None


def _response(text: str) -> str:
    """A response as it is; a plain .cu file as the response that it would be."""
    return text if re.search(r"^[ ]{0,3}```", text, re.MULTILINE) else f"```cuda\n{text}\n```"


if __name__ == "__main__":
    sys.exit(main())
