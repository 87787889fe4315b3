"""The `simt` backend: CUDA kernels compiled for the CPU and run thread by thread, with every access checked.

What it finds that a comparison of outputs would not: accesses out of bounds (by buffer and byte), reads of
what nobody has written, writes to inputs, data races, divergent barriers, deadlocks, misaligned vector
accesses, endless loops; and in samples of the launches at the shipped sizes, what goes wrong there. What it
cannot judge it calls UNSUPPORTED: PTX, tensor cores, grid-wide barriers. A race is seen from the accesses
themselves and what orders them. Runs differ in poison, in where the buffers lie, and in the order of blocks
and threads: ascending, descending and shuffled, so that luck with one of them is no luck; where threads meet
at atomics or flags there are more runs. It checks correctness and measures no speed.

Four fences hold a hostile candidate: static rules, a confined compiler, a loader that hands out no foreign
address, and a process that may only write its report and exit. That process never has the expected outputs.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from evaluation.answer import kernel_names
from evaluation.backends.base import NOTHING, Built, Run, RunOutcome
from evaluation.backends.cuda.arguments import too_many_threads
from evaluation.backends.cuda.ptx import Kernel
from evaluation.backends.simt import rules
from evaluation.backends.simt.compile import KernelCompiler
from evaluation.backends.simt.gpu_gate import GpuGate
from evaluation.backends.simt.growth import steps_a_thread
from evaluation.backends.simt.run import KernelRunner, Order, Report, Unfinished, Variant, too_slow
from evaluation.backends.simt.source import expanded, missing_header, shim_of, to_expand, translation_unit
from evaluation.closing import Closing
from evaluation.errors import EvaluatorFailure
from evaluation.plan import Plan
from evaluation.scratch import Scratch, free_mb, memory_folder
from evaluation.settings import EvaluationSettings
from evaluation.source_text import plain
from evaluation.verdict import Refusal, Status

_ROOM = 4
"""How many files of the largest size memory must have room for, to hold the scratch folder."""
_LEAST_RUNS = 7  #: of a candidate for which the order of threads may matter
_TELLING_STEPS = 50_000  #: of a run that is long enough to show that
_REPEATED_STEPS = 1_000_000  #: after which there are no more runs than a shuffled and the descending one
_DESCENDING = 2  #: the number of the run that takes everything in the descending order


@dataclass(frozen=True)
class SimtBuilt:
    """A compiled candidate: an object file in the scratch folder, removed when this value is forgotten."""

    path: Path
    on_gpu: Mapping[str, Kernel] = field(default_factory=dict)
    """What its kernels are on a GPU, by their names in a plan, where a GPU's compiler was asked."""
    restricted: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Positions of their `__restrict__` parameters, by the same names."""

    def refuse(self, plan: Plan) -> Refusal | None:
        """Why a GPU would not launch `plan`, as far as its compiler tells."""
        return too_many_threads(plan, self.on_gpu) if self.on_gpu else None


class SimtBackend(Closing):
    """Compiles and runs candidates on the CPU. Use from one thread; close it, or use it as a context manager.

    Raises WarpsmithError if the machine has no C++ compiler; the first use builds the runner and the shim.
    """

    name = "simt"

    def __init__(self, settings: EvaluationSettings, scratch_dir: Path | None = None) -> None:
        self._settings = settings
        self._scratch = Scratch("warpsmith-simt-", scratch_dir or memory_folder(_ROOM * settings.file_mb))
        self.scratch = self._scratch.path
        self._built = 0
        try:
            self._gate = GpuGate(settings) if settings.require_sm90 else None
            self._compiler = KernelCompiler(settings, self.scratch)
            self._runner = KernelRunner(settings, self.scratch)
        except BaseException:
            self._scratch.close()
            raise

    def warm_up(self) -> None:
        """Start the compilers."""
        self.build(NOTHING, ["nothing"])

    def build(self, source: str, kernels: Sequence[str]) -> SimtBuilt | Refusal:
        """Apply the static rules, compile `source` with an entry point for each kernel, ask the gate."""
        code = self._judged_text(source)
        prepared = code if isinstance(code, Refusal) else kernel_names.prepared(code, kernels)
        if isinstance(prepared, Refusal):
            return prepared
        text, names = prepared
        missing = missing_header(text)
        if missing is not None:
            return Refusal(status=Status.COMPILE_ERROR, reason=missing)
        self._require_room()
        unit = translation_unit(text, names)
        path = self._compiler.compile(unit, f"kernel{self._built}", shim_of(text))
        if isinstance(path, Refusal) and path.status is not Status.COMPILE_ERROR:
            return path
        on_gpu = self._gate.inspect(text, list(names.values())) if self._gate else None
        if isinstance(path, Refusal):
            return path if on_gpu is None or isinstance(on_gpu, Refusal) else _unsupported(path)
        found = {} if isinstance(on_gpu, Refusal) or on_gpu is None else on_gpu
        known = {kernel: found[name] for kernel, name in names.items() if name in found}
        built = SimtBuilt(path, known, kernel_names.restricted(text, names))
        weakref.finalize(built, path.unlink, missing_ok=True)
        return on_gpu if isinstance(on_gpu, Refusal) else built

    def _judged_text(self, source: str) -> str | Refusal:
        """The plain text that the rules have judged and that is compiled: expanded if macros paste words."""
        self._built += 1
        refusal = rules.refuse(source)
        code = plain(source)
        if refusal is None and rules.pastes(source):
            output = self._compiler.expand(to_expand(code), f"kernel{self._built}")
            if isinstance(output, Refusal):
                return output
            code = expanded(output)
            refusal = rules.refuse(code)
        return refusal or code

    def run(self, built: Built, runs: Sequence[Run]) -> RunOutcome | Refusal:
        """Run every plan in order, each in a fresh process; stops at the first that fails.

        The time limit is a backstop for each run, in CPU seconds, so that a verdict does not depend on what
        else the machine is doing.
        """
        assert isinstance(built, SimtBuilt)
        for run in runs:
            refusal = built.refuse(run.plan)
            if refusal is not None:
                return refusal
        self._require_room()
        outputs: list[dict[str, np.ndarray] | None] = []
        reports: list[Report | None] = []
        for number, run in enumerate(runs):
            finished = [(other, report.steps) for other, report in zip(runs, reports, strict=False) if report]
            result = self._run_once(built, run, number, steps_a_thread(finished, run))
            if isinstance(result, Refusal):
                return result
            outputs.append(result[0] if result else None)
            reports.append(result[1] if result else None)
        repeats = self._repeat(built, runs, reports)
        return repeats if isinstance(repeats, Refusal) else RunOutcome(tuple(outputs), repeats)

    def _run_once(
        self, built: SimtBuilt, run: Run, number: int, expected: float
    ) -> tuple[dict[str, np.ndarray], Report] | Refusal | None:
        """One run; none if it is too much work, as the steps `expected` of a thread tell: see `growth`."""
        variant = replace(_variant(run, number), slow=expected > 0)
        result = self._runner.run(built.path, run, variant, built.restricted)
        if expected and isinstance(result, Refusal) and result.status is Status.TIMEOUT:
            if not isinstance(result, Unfinished):
                variant = Variant(variant.seed, slow=True, patient=True)
                result = self._runner.run(built.path, run, variant, built.restricted)
            if isinstance(result, Refusal) and too_slow(result, expected, self._settings):
                return None
        return result

    def _repeat(
        self, built: SimtBuilt, runs: Sequence[Run], reports: Sequence[Report | None]
    ) -> tuple[tuple[int, dict[str, np.ndarray]], ...] | Refusal:
        """Do a run whose threads met again, one of telling length, in more orders."""
        contended = {
            index: report.steps for index, report in enumerate(reports) if report and report.contended
        }
        if not contended:
            return ()
        index = min(contended, key=lambda index: abs(contended[index] - _TELLING_STEPS))
        repeats = []
        steps = 0
        for number in range(len(runs), _LEAST_RUNS):
            if number > _DESCENDING and steps > _REPEATED_STEPS:
                break
            result = self._runner.run(
                built.path, runs[index], _variant(runs[index], number), built.restricted
            )
            if isinstance(result, Refusal):
                return result
            repeats.append((index, result[0]))
            steps += result[1].steps
        return tuple(repeats)

    def _require_room(self) -> None:
        """Raise EvaluatorFailure on a full disk, which would look like a compiler's or a kernel's failure."""
        if free_mb(self.scratch) < self._settings.file_mb:
            raise EvaluatorFailure(
                f"{self.scratch.parent} has less than {self._settings.file_mb} MiB left; free some"
            )

    def rehearse(self, built: Built, plan: Plan) -> Refusal | None:
        """Launch bounds; then samples of the launches without their data: accesses, arguments, limits."""
        assert isinstance(built, SimtBuilt)
        return built.refuse(plan) or self._runner.rehearse(built.path, plan)

    def close(self) -> None:
        """End the servers and remove the scratch folder."""
        self._compiler.close()
        self._runner.close()
        if self._gate is not None:
            self._gate.close()
        self._scratch.close()


def _variant(run: Run, number: int) -> Variant:
    """What a candidate's run of this number shows; the second and all after the third are shuffled."""
    order = {0: Order.ASCENDING, _DESCENDING: Order.DESCENDING}.get(number, Order.SHUFFLED)
    return Variant(_seed(run, number), order, number % 4)


def _unsupported(refusal: Refusal) -> Refusal:
    """What it means that a source compiles for a GPU and not here: the shim lacks something."""
    reason = f"it compiles for a GPU, but this backend lacks something: {refusal.reason}"
    return Refusal(status=Status.UNSUPPORTED, reason=reason)


def _seed(run: Run, number: int) -> int:
    """Another for every run of a candidate, and as unknown to it as the inputs are."""
    heads = (array.reshape(-1)[:16].tobytes() for array in run.inputs.values())
    return zlib.crc32(b"".join(heads), number)
