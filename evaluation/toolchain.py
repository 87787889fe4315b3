"""The machine's C++ compiler, and the programs of our own that are built with it on first use.

Artifacts lie in a cache folder (`$WARPSMITH_CACHE`, else `~/.cache/warpsmith`), each in a folder named after
everything that it depends on: its sources, the compiler and the flags. A folder appears by an atomic rename
when it is complete, so builders may race and readers never see half of one.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evaluation.errors import WarpsmithError

NATIVE = Path(__file__).parent / "native"
"""Sources of the artifacts."""

_CANDIDATES = ("g++", "clang++", "c++")


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler that was found and answers."""

    command: tuple[str, ...]
    version: str
    """All that `--version` prints; part of every artifact's key."""

    def run(self, arguments: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
        """Run it, unconfined, on sources of our own."""
        return subprocess.run([*self.command, *arguments], capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


@cache
def find_compiler(preferred: str | None = None) -> Compiler:
    """Return `preferred`, else `$CXX`, else the first of g++, clang++ and c++ that this machine has.

    Raises WarpsmithError, with the remedy, if there is none or it does not run.
    """
    if platform.machine() != "x86_64":
        raise WarpsmithError(
            f"the simt backend runs on x86-64 only, and this machine is {platform.machine()}"
        )
    named = preferred or os.environ.get("CXX")
    commands = [tuple(shlex.split(named))] if named else [(name,) for name in _CANDIDATES]
    for command in commands:
        path = shutil.which(command[0]) if command else None
        if path is None:
            continue
        answer = subprocess.run([path, *command[1:], "--version"], capture_output=True, text=True)
        if answer.returncode == 0:
            return Compiler((path, *command[1:]), answer.stdout)
    tried = named or ", ".join(_CANDIDATES)
    raise WarpsmithError(f"no C++ compiler was found (tried {tried}); install one with `apt-get install g++`")


@cache
def shim_text() -> str:
    """All headers that the simt backend compiles a kernel behind."""
    return "\n".join(path.read_text() for path in sorted((NATIVE / "shim").rglob("*")) if path.is_file())


def cache_folder() -> Path:
    """Where artifacts are kept; created if absent."""
    folder = Path(os.environ.get("WARPSMITH_CACHE") or Path.home() / ".cache" / "warpsmith")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarpsmithError(
            f"the cache folder {folder} cannot be created ({error.strerror}); "
            "set WARPSMITH_CACHE to a folder that can be written"
        ) from None
    return folder


def artifact(
    name: str, compiler: Compiler, key: Sequence[str], sources: Path, build: Callable[[Path], None]
) -> Path:
    """Return the folder of an artifact, built by `build(folder)` unless it is there already.

    `sources` is a file or folder below NATIVE whose contents, with `key` and the compiler, name the result.
    `build` runs in a temporary folder and must not depend on its name.
    """
    digest = hashlib.sha256("\0".join([*compiler.command, compiler.version, *key]).encode())
    for path in sorted([sources] if sources.is_file() else sources.rglob("*.*")):
        digest.update(path.relative_to(NATIVE).as_posix().encode() + b"\0" + path.read_bytes())
    final = cache_folder() / f"{name}-{digest.hexdigest()[:20]}"
    if final.is_dir():
        return final
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=final.parent) as building:
        made = Path(building) / "made"
        made.mkdir()
        build(made)
        try:
            made.rename(final)
        except OSError:
            if not final.is_dir():  # otherwise another process was faster, with the same result
                raise
    return final


def compile_program(compiler: Compiler, arguments: Sequence[str], what: str) -> None:
    """Run the compiler on sources of our own; WarpsmithError names `what` if it fails."""
    done = compiler.run(arguments)
    if done.returncode:
        first = next(
            (line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200]
        )
        raise WarpsmithError(
            f"{compiler.command[0]} could not build {what} ({first.strip()}); "
            "install a complete compiler with `apt-get install g++`"
        )
