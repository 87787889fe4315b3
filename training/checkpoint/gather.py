"""All weights of a live Megatron model under their Hugging Face names, e.g. for a rollout engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.models.gpt import GPTModel
from torch import Tensor

from training.checkpoint.tensor_map import VOCABULARY, hf_layer_name
from training.model.families.base import EMBEDDING, FINAL_NORM, HEAD, Weight
from training.model.fusion import separate
from training.model.lora import adapted_layers, adapted_weights
from training.settings.architecture import Architecture


@torch.no_grad()
def hf_weights(model: GPTModel, architecture: Architecture) -> Iterator[tuple[str, Tensor]]:
    """Yield every Hugging Face tensor, full, by name. Collective: all ranks must exhaust it together.

    Adapters (`training.model.lora`) are merged into the tensors that they adapt. The tensors may be the
    model's own; a caller that keeps them across a training step must copy them.
    """
    parameters, adapted = dict(model.named_parameters()), adapted_weights(model)
    layers = {layer.layer_number - 1: position for position, layer in enumerate(model.decoder.layers)}
    stage_of_layer = _stage_of_layer(sorted(layers))
    last_stage = parallel_state.get_pipeline_model_parallel_world_size() - 1

    def whole(weight: Weight) -> dict[str, Tensor]:
        value = _whole(parameters[weight.parameter].data, weight.split)
        (name,) = weight.parts
        return {name: value[: architecture.vocab_size] if weight in VOCABULARY else value}

    def layer(index: int) -> dict[str, Tensor]:
        prefix = f"decoder.layers.{layers[index]}."

        def value(name: str) -> Tensor:
            linear = adapted.get(prefix + name)
            return parameters[prefix + name].data if linear is None else linear.merged()

        parts = _whole_layer(architecture, value)
        return {hf_layer_name(index, name): value for name, value in parts}

    yield from _from_stage(0, partial(whole, EMBEDDING))
    for index in range(architecture.num_layers):
        yield from _from_stage(stage_of_layer[index], partial(layer, index))
    yield from _from_stage(last_stage, partial(whole, FINAL_NORM))
    if not architecture.tied:
        yield from _from_stage(last_stage, partial(whole, HEAD))


@torch.no_grad()
def peft_weights(model: GPTModel, architecture: Architecture) -> Iterator[tuple[str, Tensor]]:
    """Yield the adapters' tensors, full, by the names that PEFT gives them; collective as `hf_weights`."""
    layers = {layer.layer_number - 1: layer for layer in model.decoder.layers}
    stage_of_layer = _stage_of_layer(sorted(layers))

    def layer(index: int) -> dict[str, Tensor]:
        found = {}
        for linear in adapted_layers(layers[index]):
            for part, adapter in linear.adapters_by_part():
                name = f"base_model.model.{hf_layer_name(index, part)}"
                found[f"{name}.lora_A.weight"] = _whole(adapter.lora_A.data, linear.split_of_a)
                found[f"{name}.lora_B.weight"] = _whole(adapter.lora_B.data, linear.split_of_b)
        return found

    for index in range(architecture.num_layers):
        yield from _from_stage(stage_of_layer[index], partial(layer, index))


def _whole_layer(architecture: Architecture, get: Callable[[str], Tensor]) -> Iterator[tuple[str, Tensor]]:
    """One layer's Hugging Face names and full values, from this stage's tensor-parallel ranks."""
    for weight in architecture.family.layer:
        shares = separate(architecture, weight, get(weight.parameter))
        yield from zip(weight.parts, (_whole(share, weight.split) for share in shares), strict=True)


def _whole(value: Tensor, dim: int | None) -> Tensor:
    """The tensor of which `value` is this tensor-parallel rank's slice along `dim`, if it is one."""
    size = parallel_state.get_tensor_model_parallel_world_size()
    if size == 1 or dim is None:
        return value
    slices = [torch.empty_like(value, memory_format=torch.contiguous_format) for _ in range(size)]
    dist.all_gather(slices, value.contiguous(), group=parallel_state.get_tensor_model_parallel_group())
    return torch.cat(slices, dim)


def _stage_of_layer(mine: list[int]) -> dict[int, int]:
    """Pipeline stage by layer index, from the layers that each stage has."""
    if parallel_state.get_pipeline_model_parallel_world_size() == 1:
        return dict.fromkeys(mine, 0)
    group = parallel_state.get_pipeline_model_parallel_group()
    stages: list[list[int]] = [[] for _ in range(group.size())]
    dist.all_gather_object(stages, mine, group=group)
    return {index: stage for stage, indices in enumerate(stages) for index in indices}


def _from_stage(stage: int, make: Callable[[], dict[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """The tensors that `make` gives on pipeline stage `stage`, on all stages."""
    if parallel_state.get_pipeline_model_parallel_world_size() == 1:
        yield from make().items()
        return
    group = parallel_state.get_pipeline_model_parallel_group()
    source = dist.get_global_rank(group, stage)
    tensors = make() if parallel_state.get_pipeline_model_parallel_rank() == stage else {}
    header = [{name: (value.shape, value.dtype) for name, value in tensors.items()}]
    dist.broadcast_object_list(header, src=source, group=group)
    for name, (shape, dtype) in header[0].items():
        device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else "cpu"
        value = tensors[name].contiguous() if tensors else torch.empty(shape, dtype=dtype, device=device)
        dist.broadcast(value, src=source, group=group)
        yield name, value
