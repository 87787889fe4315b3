"""What machine a measurement was made on: figures with different fingerprints are never compared."""

from __future__ import annotations

import hashlib
import importlib
import platform
from typing import Any

from evaluation.backends.cuda.visible_gpus import physical_gpu
from evaluation.problem import Frozen


class ClockSample(Frozen):
    """The state of a GPU at one moment."""

    sm_mhz: int
    memory_mhz: int
    temperature_c: int
    throttled: tuple[str, ...]
    """Why clocks are held down, without `idle` and application settings."""


class Fingerprint(Frozen):
    """Everything that a time depends on besides the code."""

    gpu: str
    max_sm_mhz: int | None
    max_memory_mhz: int | None
    driver: str | None
    cuda: str | None
    """Version of CUDA that torch was built with."""
    nvrtc: str | None
    torch: str
    machine: str

    @property
    def digest(self) -> str:
        """A short hash; equal digests may be compared."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


_THROTTLES = {
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "thermal (software)",
    "HwThermalSlowdown": "thermal (hardware)",
    "HwPowerBrakeSlowdown": "power brake",
}


class Clocks:
    """Reads clocks through NVML; gives `None` where the bindings or the library are missing."""

    def __init__(self, device: int = 0) -> None:
        self._nvml: Any = None
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            name = physical_gpu(device)
            by_name = nvml.nvmlDeviceGetHandleByIndex if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID
            self._handle = by_name(int(name) if name.isdigit() else name)
        except Exception:  # no bindings, no driver or no permission: all mean that there is nothing to read
            return
        self._nvml = nvml

    def sample(self) -> ClockSample | None:
        """The clocks now."""
        if self._nvml is None:
            return None
        nvml, handle = self._nvml, self._handle
        reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        return ClockSample(
            sm_mhz=nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            memory_mhz=nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            temperature_c=nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            throttled=tuple(
                text
                for name, text in _THROTTLES.items()
                if reasons & getattr(nvml, f"nvmlClocksThrottleReason{name}", 0)
            ),
        )

    def maxima(self) -> tuple[int, int] | None:
        """Highest SM and memory clocks in MHz."""
        if self._nvml is None:
            return None
        nvml = self._nvml
        sm = nvml.nvmlDeviceGetMaxClockInfo(self._handle, nvml.NVML_CLOCK_SM)
        return int(sm), int(nvml.nvmlDeviceGetMaxClockInfo(self._handle, nvml.NVML_CLOCK_MEM))

    def driver(self) -> str | None:
        """Version of the driver."""
        if self._nvml is None:
            return None
        version = self._nvml.nvmlSystemGetDriverVersion()
        return version.decode() if isinstance(version, bytes) else str(version)

    def memory_bytes(self) -> int | None:
        """The GPU's memory."""
        return None if self._nvml is None else int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).total)

    def name(self) -> str | None:
        """Name of the GPU."""
        if self._nvml is None:
            return None
        name = self._nvml.nvmlDeviceGetName(self._handle)
        return name.decode() if isinstance(name, bytes) else str(name)

    def close(self) -> None:
        """Give NVML back."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None


def fingerprint(device: int = 0, nvrtc: str | None = None) -> Fingerprint:
    """The fingerprint of this machine; makes no CUDA context."""
    import torch

    clocks = Clocks(device)
    maxima = clocks.maxima()
    found = Fingerprint(
        gpu=clocks.name() or "none",
        max_sm_mhz=maxima[0] if maxima else None,
        max_memory_mhz=maxima[1] if maxima else None,
        driver=clocks.driver(),
        cuda=torch.version.cuda,
        nvrtc=nvrtc,
        torch=torch.__version__,
        machine=platform.machine(),
    )
    clocks.close()
    return found
