"""Confines a command that may do harm: resource limits, Landlock, seccomp, no capabilities.

A small C launcher (`native/confine`) sets them; it needs no privilege and no namespaces. The command may
read and execute only below `readable`, write only below `writable`, and make only the system calls of a
list: no socket of its own, no signal to another process, nothing that concerns the machine. Its children
inherit all of it. It dies with the thread that started it (PR_SET_PDEATHSIG), unless it uses a GPU.

Not covered: the number of processes (counted per user in Linux, so of no use inside a container), the total
size of all files together and, on a kernel without Landlock, which files are read and written.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path

from evaluation.errors import WarpsmithError
from evaluation.toolchain import NATIVE, artifact, compile_program, find_compiler

SYSTEM_FOLDERS = tuple(Path(name) for name in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"))
"""What nearly every dynamically linked program must be able to read."""
_PACKAGE = Path(__file__).parent
#: Makes the package importable by its folder alone: a process may not even list the folder above it.
_BOOTSTRAP = """
import sys, types
from importlib import import_module
package = types.ModuleType("evaluation")
package.__path__ = [sys.argv.pop(1)]
sys.modules["evaluation"] = package
import_module(sys.argv.pop(1)).main(*sys.argv[1:])
"""
_LANDLOCK_CREATE_RULESET, _ONLY_THE_VERSION = 444, 1


class Mode(StrEnum):
    """Whose rights a confined command has."""

    SAME = "same"  #: the caller's own user, without its capabilities
    NOBODY = "nobody"  #: started by root, those of another user, where that one can reach all paths
    GPU = "gpu"  #: the same user's, and the devices among its paths; without limits on addresses and CPU time


def python(module: str, *arguments: str) -> list[str]:
    """The command that calls `main` of a module of ours in a process that can read this package alone."""
    return [sys.executable, "-c", _BOOTSTRAP, str(_PACKAGE), module, *arguments]


def python_folders() -> list[Path]:
    """What a command of `python` must be able to read, besides SYSTEM_FOLDERS."""
    return [Path(sys.prefix), Path(sys.base_prefix), _PACKAGE]


def command(
    argv: Sequence[str],
    *,
    writable: Path,
    readable: Sequence[Path],
    cpu_seconds: int,
    memory_mb: int,
    file_mb: int,
    compiler: str | None = None,
    mode: Mode = Mode.SAME,
) -> list[str]:
    """Return `argv` behind the launcher, which is built on first use.

    CPU seconds and address space (MiB) hold for each process, `file_mb` for each file. Paths that do not
    exist are ignored. In mode NOBODY `writable` becomes the other user's. Raises WarpsmithError if there is
    no C++ compiler.
    """
    limits = [str(cpu_seconds), str(memory_mb), str(file_mb)]
    paths = [str(path.resolve()) for path in readable]
    return [str(_built(compiler) / "confine"), mode, str(writable.resolve()), *limits, *paths, "--", *argv]


def child_lock() -> Path:
    """The library by which a confined process locks itself further (`evaluation.reference.child_filter`)."""
    return _built(None) / "child.so"


def thread_names() -> Path:
    """The library that a confined process which uses a GPU has to preload: it names threads nowhere."""
    return _built(None) / "names.so"


def require_landlock(required: bool) -> None:
    """Where this kernel cannot limit which files hostile code reads and writes, say so once, or refuse."""
    if has_landlock():
        return
    do_without("there is no Landlock, so programs may read and write whatever their user may", required)


def do_without(lacking: str, required: bool) -> None:
    """Say once what confinement is missing, or refuse; raises WarpsmithError where it is `required`."""
    if required:
        raise WarpsmithError(
            f"{lacking}; use another machine, or set evaluation.require_confinement to false"
        )
    _warn(f"{lacking}; run only programs that you trust, or set evaluation.require_confinement")


@cache
def has_landlock() -> bool:
    """Whether the kernel restricts access to files by path."""
    return ctypes.CDLL(None).syscall(_LANDLOCK_CREATE_RULESET, None, 0, _ONLY_THE_VERSION) > 0  # type: ignore[no-any-return]


@cache
def _warn(message: str) -> None:
    logging.getLogger(__name__).warning(message)


def _built(preferred: str | None) -> Path:
    compiler = find_compiler(preferred)
    sources = NATIVE / "confine"

    def build(folder: Path) -> None:
        for source, options, product in (
            ("launcher.c", [], "confine"),
            ("child.c", ["-shared", "-fPIC"], "child.so"),
            ("names.c", ["-shared", "-fPIC"], "names.so"),
        ):
            arguments = ["-O2", *options, "-x", "c", str(sources / source), "-o", str(folder / product)]
            compile_program(compiler, arguments, "the confinement launcher")

    return artifact("confine", compiler, [], sources, build)
