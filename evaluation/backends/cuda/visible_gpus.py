"""Which GPU of the machine a number means in a process that sees only some of them."""

from __future__ import annotations

import os


def physical_gpu(device: int) -> str:
    """The machine's own index, or the UUID, of this process's GPU `device` (CUDA_VISIBLE_DEVICES).

    NVML and files that several processes share know nothing of what one of them sees.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in visible.split(",")] if visible else []
    return names[device] if device < len(names) else str(device)
