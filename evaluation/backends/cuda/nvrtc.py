"""Compiling CUDA C++ to a cubin with NVRTC, in a process that may hang or die.

NVRTC needs no GPU, so any machine that has the library can compile for a real architecture.
"""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from evaluation import confine
from evaluation.backends.cuda.channel import Channel, ChannelClosedError
from evaluation.errors import WarpsmithError
from evaluation.scratch import LOCK, Scratch
from evaluation.toolchain import NATIVE
from evaluation.verdict import Refusal, Status

ROOT = Path(__file__).resolve().parents[3]
"""Where `python -m` finds our packages."""
_HERE = Path(__file__).resolve().parent
_VIRTUAL_HEADERS = _HERE / "nvrtc_include"
_START_SECONDS = 60.0
_ATTEMPTS = 2
"""How often a source is tried whose compiler process died: the first death may have had another cause."""
_PROCESS_CPU_SECONDS = 1_000_000
_OWN_MEMORY_MB = 2048
"""Address space that Python, NVRTC and its heap for precompiled headers take."""
_PCH_MB = 512
_MOST_PCH_FILES = 16
"""Of some 6 MB each; there is one for every beginning of a source up to its last include."""
#: These take NVRTC up to a second to read; it then keeps them precompiled while its process lives.
_HEAVY_HEADERS = re.compile(r"#\s*include\s*[<\"](?:cooperative_groups|cub/|mma\.h|cuda_(?:fp16|bf16)\.h)")
#: These need what `--minimal` leaves out.
_GROUPS_HEADERS = re.compile(r"#\s*include\s*[<\"](?:cooperative_groups|cub/)")
#: A source that may use libcu++, which cooperative_groups.h includes unless told otherwise.
_USES_LIBCUXX = re.compile(r"\bcuda\b|[<\"]cub/")
#: NVIDIA's switch for that: 200 ms a source become 50, also with everything precompiled.
_WITHOUT_LIBCUXX = "--define-macro=_CG_LIMIT_INCLUDED_DEPENDENCIES"
#: Heap in huge pages, where the kernel grants them: NVRTC's memory is large, and this saves it a tenth.
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
#: Makes the few modules that the process needs importable without their packages, whose imports are slow.
_BOOTSTRAP = """
import sys, types
for name in ("evaluation", "evaluation.backends", "evaluation.backends.cuda"):
    package = types.ModuleType(name)
    package.__path__ = [sys.argv[1]] if name.endswith("cuda") else []
    sys.modules[name] = package
from evaluation.backends.cuda.nvrtc_worker import main
main(sys.argv[2:])
"""
_UNKNOWN_KERNEL = "__nv_name_map"
"""Where NVRTC says that an error is in the name of a kernel."""
_ERROR = re.compile(
    r"^(?:(?P<file>[^\s(]*)\((?P<line>\d+)\)|At end of source|ptxas)\s*:?"
    r"[^:\n]*\b(?:error|fatal)\b[^:\n]*:(?P<message>[^\n]*)",
    re.MULTILINE,
)
_REASON_CHARACTERS = 300


@dataclass(frozen=True)
class Toolkit:
    """Where NVRTC and the CUDA headers lie."""

    library: Path
    builtins: Path | None
    include: Path | None
    """The folder with cuda_fp16.h; without it only sources that include nothing of CUDA's compile."""


@dataclass(frozen=True)
class Compiled:
    """What a source became."""

    ptx: str
    cubin: bytes = b""
    """Empty where the architecture is a virtual one."""
    symbols: Mapping[str, str] = field(default_factory=dict)
    """The name in the module of each kernel asked for."""


@cache
def find_toolkit() -> Toolkit:
    """NVRTC from the `nvidia-cuda-nvrtc` package, from CUDA_HOME, or from the usual folder.

    Raises:
        WarpsmithError: if there is none.
    """
    for library in _candidates():
        builtins = sorted(library.parent.glob("libnvrtc-builtins.so*"))
        return Toolkit(library, builtins[0] if builtins else None, _include(library))
    raise WarpsmithError("NVRTC was not found; install `nvidia-cuda-nvrtc`, or set CUDA_HOME to a toolkit")


def _candidates() -> Iterator[Path]:
    folders = [Path(entry) / "nvidia" for entry in dict.fromkeys([*sys.path, *site.getsitepackages()])]
    for folder in folders:
        yield from sorted(folder.glob("*/lib/libnvrtc.so.*"), reverse=True)
    for home in (os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        if home:
            yield from sorted(Path(home).glob("lib64/libnvrtc.so*"))


def _include(library: Path) -> Path | None:
    """The folder with CUDA's headers; one that has the C++ core libraries too comes first."""
    home = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    folders = [library.parents[1] / "include", home / "include"]
    found = [folder for folder in folders if (folder / "cuda_fp16.h").exists()]
    complete = [
        folder for folder in found if (folder / "cccl/nv/target").exists() or (folder / "nv/target").exists()
    ]
    return next(iter(complete + found), None)


@cache
def virtual_headers() -> dict[str, str]:
    """Standard headers that NVRTC lacks, by the name that a source includes them by."""
    texts = {path.name: path.read_text() for path in _VIRTUAL_HEADERS.glob("*.h")}
    aliases = {f"c{name.removesuffix('.h')}": text for name, text in texts.items() if "_" not in name}
    shared = {"utility": ""} | {
        path.stem.removeprefix("std_"): path.read_text() for path in NATIVE.glob("shim/std_*.h")
    }
    return texts | aliases | shared


def options(architecture: str, toolkit: Toolkit, source: str) -> list[str]:
    """Compiler options for `source`; they are part of what identifies a cubin."""
    found = [
        f"--gpu-architecture={architecture}",
        "--std=c++17",
        "--disable-warnings",
        "--pre-include=nvcc_implicit.h",
    ]
    if architecture.startswith("compute_"):
        found.append(
            "--Ofast-compile=min"
        )  # nobody runs it; a quarter less time, and functions are still inlined
    if toolkit.include:
        found += [f"--include-path={toolkit.include}", f"--include-path={toolkit.include / 'cccl'}"]
    if not _GROUPS_HEADERS.search(source):
        found.append("--minimal")
    elif not _USES_LIBCUXX.search(source):
        found.append(_WITHOUT_LIBCUXX)
    if _HEAVY_HEADERS.search(source):
        found += ["--pch", "--pch-dir=."]
    return found


class CompilerProcess:
    """One confined NVRTC process; it is replaced when a source makes it hang or crash.

    It dies with the thread that starts it (`evaluation.confine`).

    Args:
        seconds: wall-clock limit of one compilation.
        memory_mb: address space for a compilation, beyond what NVRTC itself maps.
    """

    def __init__(self, toolkit: Toolkit, *, seconds: float, memory_mb: int = 1024) -> None:
        self._toolkit = toolkit
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._scratch: Scratch | None = None

    def compile(self, source: str, architecture: str, kernels: Sequence[str] = ()) -> Compiled | Refusal:
        """Compile, with an instance of each of `kernels` that is a template's (`sum<float>`).

        Refuses with COMPILE_ERROR and the compiler's first message, or REJECTED if a kernel is not there.
        """
        request = {
            "options": options(architecture, self._toolkit, source),
            "headers": virtual_headers(),
            "kernels": list(kernels),
        }
        for _ in range(_ATTEMPTS):
            channel = self._channel or self._start()
            try:
                channel.send(request, source.encode())
                result = _result(*channel.receive(self._seconds))
                self._forget_headers()
                return result
            except TimeoutError:
                self.close()
                return _refuse(f"compiling took longer than {self._seconds:g} s")
            except ChannelClosedError:
                self.close()
        return _refuse("the compiler crashed or ran out of memory on this source")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._channel:
            self._channel.close()
        if self._scratch:
            self._scratch.close()
        self._process = self._channel = self._scratch = None

    def _forget_headers(self) -> None:
        """Remove the oldest precompiled headers when there are many."""
        if self._scratch:
            files = [path for path in self._scratch.path.iterdir() if path.name != LOCK]
            files.sort(key=lambda path: path.stat().st_mtime)
            for path in files[:-_MOST_PCH_FILES]:
                path.unlink()

    def _start(self) -> Channel:
        ours, theirs = Channel.pair()
        self._scratch = Scratch("warpsmith-nvrtc-")
        with theirs:
            self._process = subprocess.Popen(
                self._command(theirs.fileno(), self._scratch.path),
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1", **_HUGE_PAGES},
                cwd=self._scratch.path,
                stdin=subprocess.DEVNULL,
            )
        try:
            ours.receive(_START_SECONDS)
        except (ChannelClosedError, TimeoutError):
            self.close()
            raise WarpsmithError(f"NVRTC does not load from {self._toolkit.library}; reinstall it") from None
        self._channel = ours
        return ours

    def _command(self, descriptor: int, folder: Path) -> list[str]:
        """The command line: it may read Python, NVRTC and the headers, and write its own folder."""
        tools = self._toolkit
        libraries = [path for path in (tools.library, tools.builtins) if path]
        arguments = [str(_HERE), str(descriptor), *map(str, libraries)]
        python = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve()]
        readable = [*python, _HERE, *confine.SYSTEM_FOLDERS, tools.library.resolve().parent]
        return confine.command(
            [sys.executable, "-I", "-c", _BOOTSTRAP, *arguments],
            writable=folder,
            readable=[*readable, *filter(None, [tools.include])],
            cpu_seconds=_PROCESS_CPU_SECONDS,
            memory_mb=_OWN_MEMORY_MB + self._memory_mb,
            file_mb=_PCH_MB,
        )


def search_path() -> str:
    """PYTHONPATH of a process that we start: this checkout, then the caller's own."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def _result(answer: dict[str, Any], cubin: bytes) -> Compiled | Refusal:
    """What one answer of the compiler process means."""
    if "failure" in answer:
        return _refuse(f"the compiler failed: {answer['failure']}")
    if not answer["ptx"]:
        log = str(answer.get("log", ""))
        reason = _first_error(log)
        if _UNKNOWN_KERNEL in log:
            reason = f"a launch line names a kernel that the source does not define: {reason}"
            return Refusal(status=Status.REJECTED, reason=reason)
        return _refuse(reason)
    return Compiled(str(answer["ptx"]), cubin, answer["symbols"])


def _refuse(reason: str) -> Refusal:
    return Refusal(status=Status.COMPILE_ERROR, reason=reason)


def _first_error(log: str) -> str:
    """The first error message of a log in one line."""
    found = _ERROR.search(log)
    if found is None:
        return " ".join(log.split())[:_REASON_CHARACTERS] or "the source does not compile"
    line = f"line {found['line']}: " if found["file"] == "kernel.cu" else ""
    return line + found["message"].strip()[:_REASON_CHARACTERS]
