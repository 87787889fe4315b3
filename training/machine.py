"""How many GPUs this machine lends, and whether they are enough: asked before any work starts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from evaluation.errors import WarpsmithError
from evaluation.settings import BackendName, EvaluationSettings
from training.config import MegatronSettings, TrainingSettings
from training.rollout.settings import Engine
from training.rollout.sglang.settings import Device

_DEVICES = Path("/dev")
_GPU = re.compile(r"nvidia\d+")


def visible_gpus() -> int | None:
    """NVIDIA GPUs that processes may use; none if the machine has none or cannot be asked this way."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([gpu for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]) or None
    return sum(_GPU.fullmatch(device.name) is not None for device in _DEVICES.iterdir()) or None


def check_gpus(megatron: MegatronSettings) -> None:
    """Raise WarpsmithError if training wants more GPUs than there are; without any, CPUs train in float32."""
    gpus, wanted = visible_gpus(), megatron.nproc_per_node
    if gpus is None and megatron.bf16:
        raise _no_gpu("`megatron.bf16`", "add `--no-bf16`")
    if gpus is not None and wanted > gpus:
        raise WarpsmithError(
            f"`megatron.nproc_per_node` is {wanted}, but this machine has {gpus} GPU(s) to use; "
            f"add `--nproc-per-node {gpus}`, or set CUDA_VISIBLE_DEVICES= to train on the CPU"
        )


def check_gpu_users(settings: TrainingSettings, evaluation: EvaluationSettings) -> None:
    """Raise WarpsmithError if something but training needs a GPU and there is none, or too few: the SGLang
    servers that we start, or the backend that judges."""
    rollout, gpus = settings.rollout, visible_gpus()
    serves = rollout.engine is Engine.SGLANG and not rollout.engine_urls
    needs = {
        "evaluation.backend: cuda": evaluation.backend is BackendName.CUDA,
        "sglang.device: cuda": serves and settings.sglang.device is Device.CUDA,
    }
    named = " and ".join(f"`{setting}`" for setting, is_set in needs.items() if is_set)
    if named and gpus is None:
        raise _no_gpu(named, "take the profile `cpu` or `cpu-sglang`")
    if gpus is not None and serves:
        _check_engines(settings, gpus)


def _check_engines(settings: TrainingSettings, gpus: int) -> None:
    """Raise WarpsmithError unless the engines that we start find room beside the processes that train."""
    from training.rollout.sglang.placement import Rank, place_engines  # imports torch, and most need no GPU

    trainers = settings.megatron.nproc_per_node
    main = Rank(rank=0, world=trainers, local_rank=0, local_world=trainers)
    place_engines(settings.rollout, settings.sglang.device, main, gpus=gpus, training=True)


def _no_gpu(named: str, remedy: str) -> WarpsmithError:
    return WarpsmithError(
        f"{named}: this needs an NVIDIA GPU, and this machine shows none (in /dev or in "
        f"CUDA_VISIBLE_DEVICES); {remedy}, or take a machine with a GPU"
    )
