"""Which GPUs each engine of ours gets, and the command that starts it there."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import WarpsmithError
from training.launch.ports import free_port
from training.rollout.sglang.protocol import NO_WEIGHTS
from training.rollout.sglang.server import Launch, require_module, server_environment
from training.settings.architecture import Architecture
from training.settings.jobs import TrainingSettings
from training.settings.rollout import RolloutSettings
from training.settings.sglang import Device

_STUBS = Path(__file__).parents[3] / "infra" / "sglang-cpu" / "stubs"
_INSTALL = (
    "install it (`make sglang` on a CPU, infra/ on a GPU), or name the interpreter and the folder that have "
    "it in rollout.server_python and rollout.server_path"
)
#: Tokens in the KV cache of a server on a CPU unless a profile says otherwise.
_CPU_CACHE_TOKENS = 20_000


@dataclass(frozen=True)
class Rank:
    """This process among those that train, as torchrun's variables say; alone without them."""

    rank: int
    world: int
    local_rank: int
    local_world: int

    @classmethod
    def of_environment(cls) -> Rank:
        """From RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE."""
        values = (
            int(os.environ.get(name, default))
            for name, default in (
                ("RANK", "0"),
                ("WORLD_SIZE", "1"),
                ("LOCAL_RANK", "0"),
                ("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")),
            )
        )
        return cls(*values)

    @property
    def node(self) -> int:
        """Number of this process's node."""
        return self.rank // self.local_world

    @property
    def nodes(self) -> int:
        """Nodes that train."""
        return self.world // self.local_world


@dataclass(frozen=True)
class Place:
    """Where one engine runs."""

    number: int
    """The engine's number over all nodes."""
    node: int
    first_gpu: int
    """The first of its consecutive GPUs on that node; 0 on a CPU."""
    trainer_ranks: tuple[int, ...]
    """The trainer's ranks on its GPUs; none if it has GPUs of its own."""


def place_engines(
    rollout: RolloutSettings, device: Device, rank: Rank, *, gpus: int, training: bool
) -> list[Place]:
    """Places of all engines on nodes that have `gpus` GPUs each, spread evenly, in the order of their GPUs.

    What does not train, an evaluation, runs on one node: it gets as many engines as fit there.

    Raises:
        WarpsmithError: there are too few GPUs, or the engines do not divide over the nodes.
    """
    engines, each = rollout.num_engines, rollout.gpus_per_engine
    if device is Device.CUDA and not training:
        engines = min(engines, gpus // each) or engines
    if engines % rank.nodes:
        raise WarpsmithError(
            f"rollout.num_engines {rollout.num_engines} cannot be divided over {rank.nodes} nodes; choose a "
            "multiple"
        )
    per_node = engines // rank.nodes
    colocated = device is Device.CUDA and training and rollout.colocate
    first = rank.local_world if device is Device.CUDA and training and not rollout.colocate else 0
    if device is Device.CUDA:
        _require_gpus(per_node * each, first, rank.local_world if colocated else gpus, gpus)
    return [
        Place(
            number=node * per_node + index,
            node=node,
            first_gpu=first + index * each if device is Device.CUDA else 0,
            trainer_ranks=tuple(node * rank.local_world + index * each + gpu for gpu in range(each))
            if colocated
            else (),
        )
        for node in range(rank.nodes)
        for index in range(per_node)
    ]


def _require_gpus(needed: int, first: int, usable: int, present: int) -> None:
    """Raise WarpsmithError unless GPUs `first` to `first + needed` are there for engines."""
    remedy = "lower rollout.num_engines or rollout.gpus_per_engine"
    if first + needed > present:
        beside = f" beside the {first} that train" if first else ""
        raise WarpsmithError(
            f"the SGLang engines need {needed} GPUs{beside}, but this machine has {present}; {remedy}, or "
            "use sglang.device: cpu"
        )
    if needed > usable:
        raise WarpsmithError(
            f"the SGLang engines need {needed} GPUs, but only {usable} train and can be shared; {remedy}, or "
            "set rollout.colocate: false"
        )


def make_launch(
    place: Place,
    settings: TrainingSettings,
    architecture: Architecture,
    hf_dir: Path,
    *,
    host: str,
    load_weights: bool,
    log_dir: Path,
) -> Launch:
    """How the server at `place` is started.

    With `load_weights` it serves those in `hf_dir`, as version 0; otherwise random ones, which have none.

    Raises:
        WarpsmithError: SGLang is not installed.
    """
    rollout = settings.rollout
    port, name = free_port(host), f"engine {place.number}"
    arguments = {
        "model_path": str(hf_dir),
        "host": host,
        "port": port,
        "tp_size": rollout.gpus_per_engine,
        "base_gpu_id": place.first_gpu,
        "load_format": "auto" if load_weights else "dummy",
        "weight_version": "0" if load_weights else NO_WEIGHTS,
        "enable_memory_saver": bool(place.trainer_ranks),
        **_defaults(settings, architecture),
    }
    python = rollout.server_python or sys.executable
    environment = _environment(settings)
    require_module(python, environment, "sglang", _INSTALL)
    return Launch(
        name=name,
        command=(
            *(python, "-W", "ignore", "-m", "sglang.launch_server"),
            *settings.sglang.command_line(arguments),
        ),
        environment=environment,
        url=f"http://{host}:{port}",
        log=log_dir / f"sglang-{place.number}.log",
        start_timeout_s=rollout.server_start_timeout_s,
    )


def make_router_launch(settings: TrainingSettings, urls: list[str], host: str, log_dir: Path) -> Launch:
    """How the SGLang router in front of the servers at `urls` is started.

    Raises:
        WarpsmithError: it is not installed.
    """
    rollout, port = settings.rollout, free_port(host)
    python = rollout.server_python or sys.executable
    environment = _environment(settings)
    remedy = "install `sglang-router`, or set rollout.router: false, which spreads the work without it"
    require_module(python, environment, "sglang_router", remedy)
    return Launch(
        name="router",
        command=(
            *(python, "-m", "sglang_router.launch_router", "--host", host, "--port", str(port)),
            *("--worker-urls", *urls),
        ),
        environment=environment,
        url=f"http://{host}:{port}",
        log=log_dir / "sglang-router.log",
        start_timeout_s=rollout.server_start_timeout_s,
    )


def engine_dtype(settings: TrainingSettings, architecture: Architecture) -> str:
    """Type of the weights in servers of ours: the checkpoint's, but bfloat16 for float32 on a GPU."""
    asked = settings.sglang.extra.get("dtype", "auto")
    if asked != "auto":
        return str(asked)
    slow = architecture.dtype == "float32" and settings.sglang.device is Device.CUDA
    return "bfloat16" if slow else architecture.dtype


def _defaults(settings: TrainingSettings, architecture: Architecture) -> dict[str, Any]:
    """What a profile need not say, but may; prompts and answers are token ids, so no server tokenizes."""
    common = {
        "dtype": engine_dtype(settings, architecture),
        "skip_tokenizer_init": True,
        "skip_server_warmup": True,
        "random_seed": settings.grpo.seed,
    }
    if settings.sglang.device is not Device.CPU:
        return common
    return {
        **common,
        "attention_backend": "torch_native",
        "sampling_backend": "pytorch",
        "grammar_backend": "none",
        "disable_overlap_schedule": True,
        "max_total_tokens": _CPU_CACHE_TOKENS,
    }


def _environment(settings: TrainingSettings) -> dict[str, str]:
    rollout = settings.rollout
    if settings.sglang.device is Device.CPU:
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        cpu = {"SGLANG_USE_CPU_ENGINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        cpu["TORCHDYNAMO_DISABLE"] = "1"  # Gemma 3's norms are compiled, which a stub of Triton cannot do
        each_rank = "|".join([cores] * rollout.gpus_per_engine)
        cpu["SGLANG_CPU_OMP_THREADS_BIND"] = os.environ.get("SGLANG_CPU_OMP_THREADS_BIND", each_rank)
        return server_environment(rollout.server_path or (str(_STUBS),), cpu)
    return server_environment(rollout.server_path, {})
