"""The process that compiles: NVRTC by ctypes, one source after the other, until its channel closes.

Started by `evaluation.backends.cuda.nvrtc` under the launcher of `evaluation.confine`. It imports the
standard
library only, so that a new one is ready at once. NVRTC serialises threads, hence processes. It needs no GPU.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.backends.cuda.channel import Channel, ChannelClosedError
from evaluation.backends.cuda.heap import keep_freed_memory

_SUCCESS = 0
_COMPILATION_ERROR = 6
_VIRTUAL = "=compute_"


class NvrtcError(Exception):
    """NVRTC itself failed (not the source)."""


@dataclass(frozen=True)
class Compilation:
    """What NVRTC says of a source; without PTX it does not compile."""

    log: str
    ptx: str = ""
    cubin: bytes = b""
    symbols: Mapping[str, str] = field(default_factory=dict)
    """The name in the module of each kernel asked for."""


class Nvrtc:
    """The few NVRTC calls that turn a source into a cubin.

    Args:
        library: path of libnvrtc.
        builtins: path of libnvrtc-builtins, loaded first because NVRTC looks for it by bare name.
    """

    def __init__(self, library: str, builtins: str | None = None) -> None:
        if builtins:
            ctypes.CDLL(builtins, mode=ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(library)
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def version(self) -> tuple[int, int]:
        """Major and minor version of the toolkit."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        return major.value, minor.value

    def compile(
        self, source: str, options: Sequence[str], headers: Mapping[str, str], kernels: Sequence[str] = ()
    ) -> Compilation:
        """Compile `source`, with an instance of every one of `kernels` that is a template's.

        A virtual architecture (compute_90a) stops at PTX, without the assembler.
        """
        program = ctypes.c_void_p()
        names = (ctypes.c_char_p * len(headers))(*[name.encode() for name in headers])
        texts = (ctypes.c_char_p * len(headers))(*[text.encode() for text in headers.values()])
        arguments = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        create = self._library.nvrtcCreateProgram
        self._check(create(ctypes.byref(program), source.encode(), b"kernel.cu", len(headers), texts, names))
        try:
            for kernel in kernels:
                self._check(self._library.nvrtcAddNameExpression(program, kernel.encode()))
            result = self._library.nvrtcCompileProgram(program, len(options), arguments)
            log = self._bytes("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
            if result == _COMPILATION_ERROR:
                return Compilation(log)
            if result != _SUCCESS:
                raise NvrtcError(log.strip() or self._library.nvrtcGetErrorString(result).decode())
            ptx = self._bytes("PTX", program).rstrip(b"\0").decode(errors="replace")
            cubin = b"" if _VIRTUAL in options[0] else self._bytes("CUBIN", program)
            return Compilation(log, ptx, cubin, {kernel: self._symbol(program, kernel) for kernel in kernels})
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _symbol(self, program: ctypes.c_void_p, kernel: str) -> str:
        """The name that `kernel`, an expression of C++, has in the module."""
        symbol = ctypes.c_char_p()
        self._check(self._library.nvrtcGetLoweredName(program, kernel.encode(), ctypes.byref(symbol)))
        return (symbol.value or b"").decode()

    def _bytes(self, what: str, program: ctypes.c_void_p) -> bytes:
        """One of the results of a compilation, by NVRTC's name for it."""
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(max(size.value, 1))
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, buffer))
        return buffer.raw[: size.value]

    def _check(self, result: int) -> None:
        if result != _SUCCESS:
            raise NvrtcError(self._library.nvrtcGetErrorString(result).decode())


def serve(channel: Channel, nvrtc: Nvrtc) -> None:
    """Answer requests until the other end closes."""
    channel.send({"version": nvrtc.version()})
    while True:
        try:
            request, source = channel.receive()
            channel.send(*_answer(nvrtc, request, source.decode()))
        except ChannelClosedError:
            return


def _answer(nvrtc: Nvrtc, request: Mapping[str, Any], source: str) -> tuple[dict[str, Any], bytes]:
    try:
        done = nvrtc.compile(source, request["options"], request["headers"], request["kernels"])
    except NvrtcError as error:
        return {"failure": str(error)[:2000]}, b""
    return {"log": done.log[:20000], "ptx": done.ptx, "symbols": dict(done.symbols)}, done.cubin


def main(arguments: Sequence[str]) -> None:
    """Serve on an inherited socket: its descriptor, libnvrtc, and libnvrtc-builtins if there is one."""
    descriptor, *libraries = arguments
    keep_freed_memory()
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 1)
    serve(Channel(socket.socket(fileno=int(descriptor))), Nvrtc(*libraries))
