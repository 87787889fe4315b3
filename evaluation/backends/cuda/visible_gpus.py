"""Which GPUs a process may use, and which of the machine's a number means in one that sees only some."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from evaluation.errors import WarpsmithError

_DEVICES = Path("/dev")
_GPU = re.compile(r"nvidia\d+")


def visible_gpus() -> int | None:
    """NVIDIA GPUs that processes may use; none if the machine has none or cannot be asked this way."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([gpu for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]) or None
    return sum(_GPU.fullmatch(device.name) is not None for device in _DEVICES.iterdir()) or None


def chosen_gpus(devices: Sequence[int]) -> tuple[int, ...]:
    """The GPUs that `devices` names, or all; where they cannot be counted, what is named or the first.

    Raises:
        WarpsmithError: there are fewer.
    """
    gpus = visible_gpus()
    if gpus is not None and max(devices, default=0) >= gpus:
        raise WarpsmithError(
            f"evaluation.devices names GPU {max(devices)}, but this machine has {gpus} to use"
        )
    return tuple(devices) or tuple(range(gpus or 1))


def physical_gpu(device: int) -> str:
    """The machine's own index, or the UUID, of this process's GPU `device` (CUDA_VISIBLE_DEVICES).

    NVML and files that several processes share know nothing of what one of them sees.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in visible.split(",")] if visible else []
    return names[device] if device < len(names) else str(device)
