"""Confines a command that may do harm: resource limits, Landlock and seccomp, set by a small C launcher.

The launcher (`native/confine.c`) needs no privilege and no namespaces. The command may read and execute
only below `readable`, write only below `writable`, open no socket and send no signal to another process; its
children inherit all of it. It dies with the thread that started it (PR_SET_PDEATHSIG).

Not covered: the number of processes (counted per user in Linux, so of no use inside a container) and the
total size of all files together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.toolchain import NATIVE, artifact, compile_program, find_compiler

SYSTEM_FOLDERS = tuple(Path(name) for name in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"))
"""What nearly every dynamically linked program must be able to read."""


def command(
    argv: Sequence[str],
    *,
    writable: Path,
    readable: Sequence[Path],
    cpu_seconds: int,
    memory_mb: int,
    file_mb: int,
    compiler: str | None = None,
) -> list[str]:
    """Return `argv` behind the launcher, which is built on first use.

    CPU seconds and address space (MiB) hold for each process, `file_mb` for each file. Paths that do not
    exist are ignored. Raises WarpsmithError if there is no C++ compiler.
    """
    limits = [str(cpu_seconds), str(memory_mb), str(file_mb)]
    paths = [str(path.resolve()) for path in readable]
    return [str(_launcher(compiler)), str(writable.resolve()), *limits, *paths, "--", *argv]


def _launcher(preferred: str | None) -> Path:
    compiler = find_compiler(preferred)
    source = NATIVE / "confine.c"

    def build(folder: Path) -> None:
        arguments = ["-O2", "-x", "c", str(source), "-o", str(folder / "confine")]
        compile_program(compiler, arguments, "the confinement launcher")

    return artifact("confine", compiler, [], source, build) / "confine"
