"""Compiles candidates for the `simt` backend: confined, with instrumentation, against a precompiled shim.

With GCC a compile server is used (`native/compile_server.c`): cc1plus starts and loads the shim once, then
forks for each candidate, which saves about half of the time. Other compilers are started for each candidate.
Both ways give the same object file for the same source. An assembler of ours contracts products and sums as
nvcc does (`native/contract.c`). Clang does two things less: it does not see that a whole vector (not a member
of one) is copied from a misaligned address, and it contracts nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from evaluation import confine
from evaluation.backends.simt.line_server import LineServer, ServerDied
from evaluation.settings import EvaluationSettings
from evaluation.toolchain import NATIVE, Compiler, artifact, compile_program, find_compiler
from evaluation.verdict import Refusal, Status

_LANGUAGE = [
    "-std=c++17",
    "-nostdinc",
    "-nostdinc++",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fno-builtin-printf",
    "-mlong-double-64",  # nvcc takes a long double for a double
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-Wno-narrowing",
]
_CODE = [
    "-march=x86-64",
    "-fno-pic",
    "-fno-pie",
    "-ftls-model=local-exec",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fdata-sections",  # each shared variable in one of its own, which the loader keeps apart
    "-fcf-protection=none",
    "-fno-omit-frame-pointer",  # native/runner/warp.cpp: call_path
]
#: A structure passed by value is then read by code that is checked; it costs a fifth of every compilation.
_CHECKED_COPIES = "-fno-elide-constructors"
_CHECKS = ["-fsanitize=thread", "-fsanitize=bounds,alignment,shift-exponent,float-cast-overflow"]
_GCC = [
    "-mindirect-branch=thunk-extern",  # native/runner/branches.cpp
    "-mindirect-branch-register",
    "-mfunction-return=thunk-extern",
    "-Wpedantic",  # for _UNBOUNDED
    "-fsanitize-coverage=trace-pc",
    "--param=tsan-distinguish-volatile=1",
    "-Werror=frame-larger-than=65536",
    *("-ffixed-xmm14", "-ffixed-xmm15"),  # native/contract.c
    "-fmax-errors=1",
    "-ftemplate-depth=200",
    "-fconstexpr-ops-limit=2000000",
    "-fno-diagnostics-show-caret",
    "-fdiagnostics-color=never",
]
_CLANG = [
    "-fsanitize-coverage=trace-pc",
    "-mllvm",
    "-tsan-distinguish-volatile",
    "-mllvm",
    "-tsan-instrument-read-before-write",
    "-Wframe-larger-than=65536",
    "-Werror=frame-larger-than",
    "-ferror-limit=1",
    "-ftemplate-depth=200",
    "-fconstexpr-steps=2000000",
    "-fno-caret-diagnostics",
    "-fno-color-diagnostics",
]

#: Without the macros of CUDA, which come later, and of this compiler, whose names the rules must see.
_PREPROCESS = [
    *("-std=c++17", "-E", "-x", "c++", "-nostdinc", "-w", "-undef", "-D__CUDA_ARCH__=900", "-D__CUDACC__=1"),
    *("-U__FILE__", "-U__BASE_FILE__", "-U__TIME__", "-U__DATE__", "-U__TIMESTAMP__", "-U__COUNTER__"),
    "-U__INCLUDE_LEVEL__",
]
_SERVER_CPU_SECONDS = 86_400
LAUNCH_LINES = "launch lines"
"""The file that errors in the names of the launched kernels are reported for."""
_ERROR = re.compile(r"^([^:\n]*):(\d+)(?::\d+)?: (?:fatal )?error: ([^\n]*)", re.MULTILINE)
_LINE = re.compile(r"kernel\.cu:(\d+)")
#: Warnings of arrays whose ends no check knows; a GPU's compiler refuses them.
_UNBOUNDED = re.compile(r"kernel\.cu:(\d+)[^\n]*(zero-size array|flexible array member)")


class Shim(StrEnum):
    """What a unit is compiled behind: a header of `native/shim`, without its suffix."""

    SCALARS = "simt"
    STRUCTURES = "simt_structures"
    SMALL_FLOATS = "simt16"


@dataclass(frozen=True)
class Toolbox:
    """What is built once for a compiler and optimisation level."""

    compiler: Compiler
    folder: Path
    """Holds the shim, its headers precompiled, a main file for each, compile_server.so and `as`."""
    flags: tuple[str, ...]

    @property
    def is_gcc(self) -> bool:
        """Whether the compiler is GCC, whose cc1plus can be made a server."""
        return _is_gcc(self.compiler)


def _is_gcc(compiler: Compiler) -> bool:
    return "clang" not in compiler.version.lower()


def toolbox(settings: EvaluationSettings) -> Toolbox:
    """Find the compiler and build, if they are not cached, the precompiled shim and the compile server."""
    compiler = find_compiler(settings.compiler)
    own = _GCC if _is_gcc(compiler) else _CLANG
    flags = (settings.optimization, *_LANGUAGE, *_CODE, *_CHECKS, *own, "-Werror=vla")

    def build(folder: Path) -> None:
        shutil.copytree(NATIVE / "shim", folder, dirs_exist_ok=True)
        for shim in Shim:
            (folder / _main(shim)).write_text(f'#include "{shim}.h"\n#include "kernel.cu"\n')
        if not _is_gcc(compiler):
            return
        for shim in reversed(Shim):  # first those that include simt.h, which then is text
            header = ["-x", "c++-header", str(folder / f"{shim}.h"), "-o", str(folder / f"{shim}.h.gch")]
            compile_program(compiler, [*_flags(flags, shim), *header], "the precompiled shim")
        server = ["-O2", "-shared", "-fPIC", "-x", "c", str(NATIVE / "compile_server.c")]
        compile_program(
            compiler, [*server, "-o", str(folder / "compile_server.so"), "-ldl"], "the compile server"
        )
        real = shutil.which(compiler.run(["-print-prog-name=as"]).stdout.strip()) or "as"
        contracting = ["-O2", "-x", "c", f'-DREAL_ASSEMBLER="{real}"', str(NATIVE / "contract.c")]
        compile_program(
            compiler, [*contracting, "-o", str(folder / "as")], "the assembler that contracts products"
        )

    own_programs = ((NATIVE / name).read_text() for name in ("compile_server.c", "contract.c"))
    key = [*flags, _CHECKED_COPIES, *own_programs]
    return Toolbox(compiler, artifact("shim", compiler, key, NATIVE / "shim", build), flags)


def _flags(common: Sequence[str], shim: Shim) -> list[str]:
    return [*common] if shim is Shim.SCALARS else [*common, _CHECKED_COPIES]


def _main(shim: Shim) -> str:
    """The name of the main file, which is also in the object file."""
    return f"{shim}.cpp"


class KernelCompiler:
    """Compiles translation units in a scratch folder of its own. One at a time; not thread-safe."""

    def __init__(self, settings: EvaluationSettings, scratch: Path) -> None:
        self._settings = settings
        self._scratch = scratch
        self._toolbox = toolbox(settings)
        self._servers: dict[Shim, LineServer | None] = dict.fromkeys(Shim)
        if self._toolbox.is_gcc:
            self._servers = {Shim.SCALARS: self._start_server(Shim.SCALARS)}  # others when they are needed

    def compile(self, unit: str, name: str, shim: Shim = Shim.SMALL_FLOATS) -> Path | Refusal:
        """Compile `unit`; returns the object file `name`.o in the scratch folder, or why there is none."""
        source, built, log = (self._scratch / f"{name}{suffix}" for suffix in (".cu", ".o", ".log"))
        source.write_text(unit, encoding="utf-8")
        status = self._status(source, built, log, shim)
        try:
            return self._explain(status, log) if status != 0 else _unbounded(log) or built
        finally:
            for path in self._scratch.glob(f"{name}[.-]*"):  # a compiler that was killed leaves files, too
                if status != 0 or path != built:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the servers."""
        for server in self._servers.values():
            if server is not None:
                server.close()

    def _wall_seconds(self) -> float:
        """A backstop only: the limit is on CPU seconds."""
        return 30.0 + 5 * self._settings.compile_cpu_s

    def _status(self, source: Path, built: Path, log: Path, shim: Shim) -> int:
        """Compile and return the wait status; a server that died has no say in it."""
        if shim not in self._servers:
            self._servers[shim] = self._start_server(shim)
        server = self._servers[shim]
        if server is not None:
            try:
                return int(server.ask(f"{source} {built} {log}\n", self._wall_seconds()))
            except ServerDied:
                server.close()
                self._servers[shim] = self._start_server(shim)
        return self._compile_alone(source, built, log, shim)

    def _compile_alone(self, source: Path, built: Path, log: Path, shim: Shim) -> int:
        """Start the compiler for one unit; same result as the server's, without its head start."""
        unit = self._scratch / _main(shim)
        unit.write_text(
            f'#include "{self._toolbox.folder}/{shim}.h"\n#line 1 "kernel.cu"\n{source.read_text()}'
        )
        try:
            return self._start([*_flags(self._toolbox.flags, shim), "-c", str(unit), "-o", str(built)], log)
        finally:
            unit.unlink()

    def expand(self, text: str, name: str) -> str | Refusal:
        """What the preprocessor alone makes of `text`, with its line markers, or why it gives up."""
        unit, output, log = (self._scratch / f"{name}{suffix}" for suffix in (".expand.cu", ".i", ".log"))
        unit.write_text(text, encoding="utf-8")
        try:
            status = self._start([*_PREPROCESS, str(unit), "-o", str(output)], log)
            return output.read_text(errors="replace") if status == 0 else self._explain(status, log)
        finally:
            for path in (unit, output, log):
                path.unlink(missing_ok=True)

    def _start(self, arguments: Sequence[str], log: Path) -> int:
        """Start the compiler and wait for it; returns its wait status."""
        argv = [*self._toolbox.compiler.command, f"-B{self._toolbox.folder}/", *arguments]
        confined = self._confined(argv, self._settings.compile_cpu_s)
        with log.open("wb") as errors:
            try:
                done = subprocess.run(
                    confined, stdout=errors, stderr=errors, cwd=self._scratch, timeout=self._wall_seconds()
                )
                return done.returncode << 8 if done.returncode >= 0 else -done.returncode
            except subprocess.TimeoutExpired:
                return int(signal.SIGKILL)

    def _start_server(self, shim: Shim) -> LineServer | None:
        """Start cc1plus as a server; `None` if this GCC does not lend itself to it."""
        folder, compiler = self._toolbox.folder, self._toolbox.compiler
        flags = _flags(self._toolbox.flags, shim)
        asked = compiler.run([*flags, "-S", _main(shim), "-o", "-", "-###"], cwd=folder)
        command = next(
            (line for line in asked.stderr.splitlines() if line.startswith(" ") and "/cc1plus " in line), None
        )
        if command is None:
            return None
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LC_ALL": "C",
            "LD_PRELOAD": str(folder / "compile_server.so"),
            "SIMT_ASSEMBLER": str(folder / "as"),
            "SIMT_COMPILE_CPU": str(self._settings.compile_cpu_s),
        }
        argv = self._confined(shlex.split(command), _SERVER_CPU_SECONDS)
        try:
            server = LineServer(argv, cwd=folder, environment=environment)
            if server.read_line(30.0) == "ready":
                return server
            server.close()
        except ServerDied:
            pass
        return None

    def _confined(self, argv: Sequence[str], cpu_seconds: int) -> list[str]:
        installed = Path(self._toolbox.compiler.command[0]).resolve().parent.parent
        return confine.command(
            argv,
            writable=self._scratch,
            readable=[*confine.SYSTEM_FOLDERS, installed, self._toolbox.folder],
            cpu_seconds=cpu_seconds,
            memory_mb=self._settings.memory_mb,
            file_mb=self._settings.file_mb,
            compiler=self._settings.compiler,
        )

    def _explain(self, status: int, log: Path) -> Refusal:
        """Turn a failed compilation into one sentence."""
        text = log.read_text(errors="replace") if log.exists() else ""
        if os.WIFSIGNALED(status):
            return _refuse(
                f"the compilation was ended ({_signal_reason(os.WTERMSIG(status), self._settings)})"
            )
        found = _ERROR.search(text)
        if found is None:
            lines = [line for line in text.splitlines() if "error" in line or "memory" in line]
            return _refuse(f"the compiler gave up: {(lines or ['no message'])[0][:200]}")
        message = found[3].strip()
        if found[1] == LAUNCH_LINES or found[1].endswith("/entry.h"):
            reason = f"a launch line names a kernel that the source does not define: {message[:300]}"
            return Refusal(status=Status.REJECTED, reason=reason)
        if "[-Werror=frame-larger-than" in message:
            reason = f"the local variables of one thread are too large for the CPU ({message.split(' [')[0]})"
            return Refusal(status=Status.UNSUPPORTED, reason=reason)
        # What fails within the shim is reported there; the note of where it was used names the source.
        line = found[2] if found[1] == "kernel.cu" else next(iter(_LINE.findall(text)), None)
        return _refuse((f"line {line}: " if line else "") + message[:300])


def _unbounded(log: Path) -> Refusal | None:
    found = _UNBOUNDED.search(log.read_text(errors="replace")) if log.exists() else None
    return _refuse(f"line {found[1]}: a {found[2]}, which has no bounds") if found else None


def _refuse(reason: str) -> Refusal:
    return Refusal(status=Status.COMPILE_ERROR, reason=reason)


def _signal_reason(number: int, settings: EvaluationSettings) -> str:
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return f"it took more than {settings.compile_cpu_s} s of CPU time"
    if number == signal.SIGXFSZ:
        return f"it wrote more than {settings.file_mb} MiB"
    return f"signal {number}"
