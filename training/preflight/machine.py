"""How many GPUs this machine lends, and whether they are enough: asked before any work starts."""

from __future__ import annotations

from evaluation.backends.cuda.visible_gpus import chosen_gpus, visible_gpus
from evaluation.errors import WarpsmithError
from evaluation.settings import BackendName, EvaluationSettings
from training.settings.jobs import MegatronSettings, TrainingSettings
from training.settings.launcher import LauncherKind, LauncherSettings
from training.settings.rollout import KERNEL, Engine
from training.settings.sglang import Device


def check_machine(
    settings: TrainingSettings, evaluation: EvaluationSettings, launcher: LauncherSettings
) -> None:
    """Raise WarpsmithError if this machine lacks GPUs that a night needs; those of jobs are elsewhere."""
    if launcher.kind is LauncherKind.LOCAL:
        check_gpus(settings.megatron)
        check_gpu_users(settings, evaluation)


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


def check_gpu_users(settings: TrainingSettings, evaluation: EvaluationSettings, nodes: int = 1) -> None:
    """Raise WarpsmithError if something but training needs a GPU and there is none, or too few: the SGLang
    servers that we start on `nodes` machines like this one, or the backend that judges."""
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
        _check_engines(settings, gpus, nodes)
    judging_gpus(settings, evaluation)


def judging_gpus(settings: TrainingSettings, evaluation: EvaluationSettings) -> tuple[int, ...]:
    """The GPUs that judge and time rollouts, by number; in asynchronous runs those without other work.

    Raises:
        WarpsmithError: there is none to time on, or fewer than are named.
    """
    rollout = settings.rollout
    if evaluation.backend is not BackendName.CUDA or rollout.reward_function != KERNEL:
        return evaluation.devices
    devices = chosen_gpus(evaluation.devices)
    if not settings.grpo.asynchronous:
        return devices
    serves = rollout.engine is Engine.SGLANG and not rollout.engine_urls
    on_gpus = serves and settings.sglang.device is Device.CUDA
    busy = settings.megatron.nproc_per_node + rollout.num_engines * rollout.gpus_per_engine * on_gpus
    idle = tuple(device for device in devices if device >= busy)
    if not idle and evaluation.rewards.speed_weight:
        raise WarpsmithError(
            f"grpo.asynchronous trains and generates on the first {busy} GPUs while kernels are timed, and "
            "evaluation has none of its own; leave one to it, or set evaluation.rewards.speed_weight: 0"
        )
    return idle or devices


def _check_engines(settings: TrainingSettings, gpus: int, nodes: int) -> None:
    """Raise WarpsmithError unless the engines that we start find room beside the processes that train."""
    from training.rollout.sglang.placement import Rank, place_engines  # imports torch, and most need no GPU

    trainers = settings.megatron.nproc_per_node
    main = Rank(rank=0, world=nodes * trainers, local_rank=0, local_world=trainers)
    place_engines(settings.rollout, settings.sglang.device, main, gpus=gpus, training=True)


def _no_gpu(named: str, remedy: str) -> WarpsmithError:
    return WarpsmithError(
        f"{named}: this needs an NVIDIA GPU, and this machine shows none (in /dev or in "
        f"CUDA_VISIBLE_DEVICES); {remedy}, or take a machine with a GPU"
    )
