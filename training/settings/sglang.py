"""SGLang's own settings, by the names of its ServerArgs, and how they reach a server's command line.

The names are checked against `server_args.json`, a list taken from the SGLang release that the project is
tested with, so a misspelt name is found without SGLang being installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict, model_validator

from evaluation.marks import Machine
from evaluation.problem import Frozen
from training.settings.upstream import (
    checked,
    nearest,
    resolve_type,
    server_arguments,
    sglang_fields,
    with_free,
)

#: ServerArgs that follow from other settings, and the setting to use in their place.
_OURS = {
    "model_path": "the checkpoint of the stage",
    "host": "rollout.engine_urls",
    "port": "rollout.engine_urls",
    "tp_size": "rollout.gpus_per_engine",
    "base_gpu_id": "rollout.colocate",
    "enable_memory_saver": "rollout.colocate",
    "load_format": "rollout.weight_sync",
    "weight_version": "rollout.weight_sync",
    "dp_size": "rollout.num_engines",
    "nnodes": "rollout.num_engines",
}


class WeightSync(StrEnum):
    """How new weights reach the engines."""

    AUTO = "auto"  #: tensor for engines on the trainer's GPUs or on a CPU, distributed for others
    TENSOR = "tensor"  #: CUDA IPC handles where trainer and engine share a GPU; else by value over HTTP
    DISTRIBUTED = "distributed"  #: a broadcast from rank 0: NCCL between GPUs, gloo between CPUs
    DISK = "disk"  #: safetensors in a folder that both sides can read


class Device(StrEnum):
    """What a server computes on."""

    CUDA = "cuda"  #: NVIDIA GPUs
    CPU = "cpu"  #: the machine's cores: for tests and for machines without a GPU


class SglangSettings(Frozen):
    """Section `sglang:`: any field of SGLang's ServerArgs (`mem_fraction_static: 0.7`, ...)."""

    model_config = ConfigDict(frozen=True, extra="allow")
    MACHINE_EXTRAS: ClassVar[frozenset[str]] = frozenset(
        {
            *("mem_fraction_static", "max_total_tokens", "max_running_requests", "max_queued_requests"),
            *("chunked_prefill_size", "max_prefill_tokens", "prefill_max_requests", "page_size"),
            *("schedule_policy", "schedule_conservativeness", "num_continuous_decode_steps", "pp_size"),
            *("disable_radix_cache", "disable_overlap_schedule", "stream_interval", "sleep_on_idle"),
            *("attention_backend", "decode_attention_backend", "prefill_attention_backend"),
            *("sampling_backend", "grammar_backend", "disable_custom_all_reduce", "enable_torch_compile"),
            *("cuda_graph_max_bs_decode", "cuda_graph_max_bs_prefill", "cuda_graph_bs_decode"),
            *("cuda_graph_bs_prefill", "disable_cuda_graph", "disable_prefill_cuda_graph"),
            *("disable_decode_cuda_graph", "disable_cuda_graph_padding", "cpu_offload_gb"),
            *("log_level", "log_level_http", "log_requests", "log_requests_level", "decode_log_interval"),
            *("enable_metrics", "show_time_cost", "crash_dump_folder", "download_dir", "numa_node"),
            *("watchdog_timeout", "soft_watchdog_timeout", "dist_timeout", "dist_init_addr", "nccl_port"),
            *("skip_server_warmup", "enable_p2p_check", "tokenizer_worker_num", "gc_threshold"),
        }
    )
    """ServerArgs that are no part of the result; see `evaluation.marks`."""

    device: Machine[Device] = Device.CUDA
    """What the servers that we start compute on."""

    @model_validator(mode="before")
    @classmethod
    def _free_settings(cls, values: Any) -> Any:
        return with_free(values, cls.model_fields.keys(), _server_value)

    @property
    def extra(self) -> dict[str, Any]:
        """The settings that go to the server's command line as they are."""
        return dict(self.__pydantic_extra__ or {})

    def command_line(self, defaults: Mapping[str, Any]) -> list[str]:
        """These settings over `defaults` as the server's arguments, names and values alternating."""
        arguments = {**defaults, **self.extra, "device": self.device.value}
        return [part for name, value in arguments.items() for part in _argument(name, value)]


def _server_value(name: str, value: Any) -> Any:
    """The value of a free `sglang:` setting, in its type; none leaves the setting to the server.

    Raises:
        ValueError: for a name that SGLang does not have or that other settings decide, and for what the
            value cannot be.
    """
    if name in _OURS:
        raise ValueError(f"`{name}` follows from {_OURS[name]}; remove it from section `sglang:`")
    field = sglang_fields().get(name)
    if field is None:
        hint = f"the nearest valid name is `{nearest(name, sglang_fields())}`"
        raise ValueError(f"unknown sglang setting `{name}`; {hint}")
    if value is None or resolve_type(field.type) is None:
        return value
    return checked(field, value)


def _argument(name: str, value: Any) -> list[str]:
    """One setting on the command line; `None` and a false switch are left out."""
    flag = str(server_arguments()[name]["flag"])
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        return [flag, json.dumps(value)]
    if isinstance(value, list | tuple):
        return [flag, *map(str, value)]
    return [flag, str(value)]
