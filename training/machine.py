"""How many GPUs this machine lends, without importing torch: asked before any work starts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from evaluation.errors import WarpsmithError
from training.config import MegatronSettings

_DEVICES = Path("/dev")
_GPU = re.compile(r"nvidia\d+")


def visible_gpus() -> int | None:
    """NVIDIA GPUs that processes may use; none if the machine has none or cannot be asked this way."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([gpu for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]) or None
    return sum(_GPU.fullmatch(device.name) is not None for device in _DEVICES.iterdir()) or None


def check_gpus(megatron: MegatronSettings) -> None:
    """Raise WarpsmithError if training wants more processes than there are GPUs; without any, CPUs train."""
    gpus, wanted = visible_gpus(), megatron.nproc_per_node
    if gpus is not None and wanted > gpus:
        raise WarpsmithError(
            f"`megatron.nproc_per_node` is {wanted}, but this machine has {gpus} GPU(s) to use; "
            f"add `--nproc-per-node {gpus}`, or set CUDA_VISIBLE_DEVICES= to train on the CPU"
        )
