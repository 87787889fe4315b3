"""The primary CUDA context of a worker, and candidates' modules in it. Used inside workers only.

The primary context is the one that torch uses too, so in a worker that has torch both see the same memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pycuda.driver as cuda

_DEFAULT_SHARED_BYTES = 48 << 10
_SMALL_LIMIT = 1 << 16
_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC: a process that waits for the GPU leaves its core to others
#: PTX parameter types by the format character that packs them; a pointer is an unsigned 64-bit integer.
FORMATS = {
    "u8": "B", "s8": "B", "b8": "B", "u16": "H", "s16": "H", "b16": "H",
    "u32": "I", "s32": "I", "b32": "I", "u64": "Q", "s64": "Q", "b64": "Q", "f32": "f", "f64": "d",
}  # fmt: skip


class LaunchRefused(Exception):
    """A launch that CUDA does not accept; the context is still sound."""


class Device:
    """The GPU as one worker sees it."""

    def __init__(self, index: int) -> None:
        cuda.init()
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.driver.cuDevicePrimaryCtxSetFlags(index, _BLOCKING_SYNC)
        self.device = cuda.Device(index)
        self.context = self.device.retain_primary_context()
        self.context.push()
        self.context.set_limit(cuda.limit.MALLOC_HEAP_SIZE, _SMALL_LIMIT)
        self.context.set_limit(cuda.limit.PRINTF_FIFO_SIZE, _SMALL_LIMIT)
        self.stream = cuda.Stream()
        attribute = cuda.device_attribute
        self.max_shared_bytes = self.device.get_attribute(attribute.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
        self.l2_bytes = self.device.get_attribute(attribute.L2_CACHE_SIZE)

    def description(self) -> dict[str, Any]:
        """What the parent needs to know: compile target and sizes."""
        major, minor = self.device.compute_capability()
        return {
            "architecture": f"sm_{major}{minor}" + ("a" if major >= 9 else ""),
            "l2_bytes": self.l2_bytes,
            "name": self.device.name(),
        }

    def load(self, cubin: bytes, kernels: Mapping[str, Sequence[str]]) -> Module:
        """Load a cubin; `kernels` gives the PTX types of each kernel's parameters."""
        sizes = self._parameter_sizes(cubin, list(kernels))
        for kernel, types in kernels.items():
            expected = [_size(name) for name in types]
            if sizes[kernel] != expected:
                raise LaunchRefused(
                    f"kernel {kernel} takes parameters of {sizes[kernel]} bytes, not {expected}"
                )
        try:
            module = cuda.module_from_buffer(cubin)
        except cuda.Error as error:
            raise LaunchRefused(f"the module does not load: {error}") from None
        functions = {}
        for kernel, types in kernels.items():
            function = module.get_function(kernel)
            function.prepare([FORMATS[name] for name in types])
            functions[kernel] = function
        return Module(self, module, functions)

    def _parameter_sizes(self, cubin: bytes, kernels: Sequence[str]) -> dict[str, list[int]]:
        """Bytes of each kernel's parameters as the driver sees them (cuFuncGetParamInfo)."""
        library = ctypes.c_void_p()
        load = self.driver.cuLibraryLoadData
        self._check(
            load(ctypes.byref(library), cubin, None, None, 0, None, None, 0), "the module does not load"
        )
        try:
            return {kernel: self._sizes_of(library, kernel) for kernel in kernels}
        finally:
            self.driver.cuLibraryUnload(library)

    def _sizes_of(self, library: ctypes.c_void_p, kernel: str) -> list[int]:
        handle, function = ctypes.c_void_p(), ctypes.c_void_p()
        get = self.driver.cuLibraryGetKernel
        self._check(get(ctypes.byref(handle), library, kernel.encode()), f"there is no kernel {kernel}")
        self._check(self.driver.cuKernelGetFunction(ctypes.byref(function), handle), f"no kernel {kernel}")
        sizes: list[int] = []
        offset, size = ctypes.c_size_t(), ctypes.c_size_t()
        info = self.driver.cuFuncGetParamInfo
        while info(function, ctypes.c_size_t(len(sizes)), ctypes.byref(offset), ctypes.byref(size)) == 0:
            sizes.append(size.value)
        return sizes

    def _check(self, result: int, what: str) -> None:
        if result:
            text = ctypes.c_char_p()
            self.driver.cuGetErrorString(result, ctypes.byref(text))
            raise LaunchRefused(f"{what}: {(text.value or b'unknown error').decode()}")

    def reset_persisting_l2(self) -> None:
        """Drop lines that any kernel marked as persisting in L2."""
        self.driver.cuCtxResetPersistingL2Cache()


@dataclass
class Module:
    """A candidate's loaded module."""

    device: Device
    module: Any
    functions: dict[str, Any]

    def bind(self, launch: Mapping[str, Any], arguments: Sequence[int | float]) -> BoundLaunch:
        """Check one launch against the kernel's and the device's limits, and fix its arguments."""
        name = launch["kernel"]
        function = self.functions[name]
        threads = launch["block"][0] * launch["block"][1] * launch["block"][2]
        if threads > function.max_threads_per_block:
            raise LaunchRefused(
                f"kernel {name} can run with at most {function.max_threads_per_block} threads a block "
                f"({function.num_regs} registers each), not {threads}"
            )
        static, most = function.shared_size_bytes, self.device.max_shared_bytes
        if launch["shared"] + static > most:
            raise LaunchRefused(
                f"launch {name}: shared memory is {launch['shared'] + static} bytes "
                f"({static} of them static); it must be from 0 to {most}"
            )
        if launch["shared"] > _DEFAULT_SHARED_BYTES - function.shared_size_bytes:
            limit = cuda.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES
            function.set_attribute(limit, launch["shared"])
        return BoundLaunch(
            function, tuple(launch["grid"]), tuple(launch["block"]), launch["shared"], tuple(arguments)
        )


@dataclass
class BoundLaunch:
    """A launch with its arguments, ready to be repeated."""

    function: Any
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared: int
    arguments: tuple[int | float, ...]

    def __call__(self, stream: Any) -> None:
        """Launch on `stream`; raises LaunchRefused when CUDA does not accept the launch."""
        try:
            self.function.prepared_async_call(
                self.grid, self.block, stream, *self.arguments, shared_size=self.shared
            )
        except cuda.Error as error:
            raise LaunchRefused(f"CUDA refuses the launch: {error}") from None


def _size(type_name: str) -> int:
    return int(type_name[1:]) // 8
