"""Where each Hugging Face tensor lies in Megatron's model, in both directions.

Megatron fuses q, k and v (interleaved by query group) and the two halves of SwiGLU, splits matrices over
tensor-parallel ranks (TP) and layers over pipeline stages (PP). All of it only moves numbers, so a round
trip is bit-exact. Used to load and to write checkpoints, and to hand new weights to a rollout engine.

Shapes: H hidden size, D head width, G key/value heads, R = query heads / G, F feed-forward width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.models.gpt import GPTModel
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.architecture import Architecture

EMBEDDING = "model.embed_tokens.weight"
FINAL_NORM = "model.norm.weight"
HEAD = "lm_head.weight"

#: Hugging Face name -> Megatron name within a layer, for norms, which all tensor-parallel ranks share.
_NORMS = {
    "input_layernorm.weight": "input_layernorm.weight",
    "post_attention_layernorm.weight": "pre_mlp_layernorm.weight",
    "self_attn.q_norm.weight": "self_attention.q_layernorm.weight",
    "self_attn.k_norm.weight": "self_attention.k_layernorm.weight",
}
_QKV = ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight")
_GATE_UP = ("mlp.gate_proj.weight", "mlp.up_proj.weight")
_OUT, _DOWN = "self_attn.o_proj.weight", "mlp.down_proj.weight"


def hf_names(architecture: Architecture) -> list[str]:
    """All tensor names of the Hugging Face checkpoint, in the order in which `hf_weights` yields them."""
    layer = [*_NORMS, *_QKV, _OUT, *_GATE_UP, _DOWN]
    names = [EMBEDDING, *(_layer_name(i, name) for i in range(architecture.num_layers) for name in layer)]
    return [*names, FINAL_NORM, *([] if architecture.tied else [HEAD])]


def _layer_name(index: int, name: str) -> str:
    return f"model.layers.{index}.{name}"


@torch.no_grad()
def load_hf_weights(model: GPTModel, architecture: Architecture, read: Callable[[str], Tensor]) -> None:
    """Copy this rank's part of a Hugging Face checkpoint into `model`; `read` gives a full tensor by name."""
    parameters = dict(model.named_parameters())
    for name, value in _rank_weights(model, architecture, read):
        parameter = parameters[name]
        if parameter.shape != value.shape:
            raise WarpsmithError(
                f"the checkpoint's weights for {name} have shape {tuple(value.shape)} where its config.json "
                f"asks for {tuple(parameter.shape)}; download the checkpoint again"
            )
        parameter.copy_(value)


def _rank_weights(
    model: GPTModel, architecture: Architecture, read: Callable[[str], Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Megatron's parameter names and values on this rank."""
    if model.pre_process:
        yield "embedding.word_embeddings.weight", _shard(read(EMBEDDING), 0)
    for position, layer in enumerate(model.decoder.layers):
        for name, value in _rank_layer(architecture, layer.layer_number - 1, read):
            yield f"decoder.layers.{position}.{name}", value
    if model.post_process:
        yield "decoder.final_layernorm.weight", read(FINAL_NORM)
        if not architecture.tied:
            yield "output_layer.weight", _shard(read(HEAD), 0)
        elif not model.pre_process:
            yield "output_layer.weight", _shard(read(EMBEDDING), 0)


def _rank_layer(
    architecture: Architecture, index: int, read: Callable[[str], Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """One layer's Megatron names and values on this rank."""

    def get(name: str) -> Tensor:
        return read(_layer_name(index, name))

    for hf_name, name in _NORMS.items():
        yield name, get(hf_name)
    yield "self_attention.linear_qkv.weight", _shard(_fuse_qkv(architecture, *map(get, _QKV)), 0)
    yield "self_attention.linear_proj.weight", _shard(get(_OUT), 1)
    yield "mlp.linear_fc1.weight", torch.cat([_shard(get(name), 0) for name in _GATE_UP])
    yield "mlp.linear_fc2.weight", _shard(get(_DOWN), 1)


@torch.no_grad()
def hf_weights(model: GPTModel, architecture: Architecture) -> Iterator[tuple[str, Tensor]]:
    """Yield every Hugging Face tensor, full, by name. Collective: all ranks must exhaust it together.

    The tensors may be the model's own; a caller that keeps them across a training step must copy them.
    """
    parameters = dict(model.named_parameters())
    layers = {layer.layer_number - 1: position for position, layer in enumerate(model.decoder.layers)}
    stage_of_layer = _stage_of_layer(sorted(layers))
    last_stage = parallel_state.get_pipeline_model_parallel_world_size() - 1

    def layer(index: int) -> dict[str, Tensor]:
        prefix = f"decoder.layers.{layers[index]}."
        whole = _whole_layer(architecture, lambda name: parameters[prefix + name])
        return {_layer_name(index, name): value for name, value in whole}

    yield from _from_stage(0, lambda: {EMBEDDING: _whole(parameters["embedding.word_embeddings.weight"], 0)})
    for index in range(architecture.num_layers):
        yield from _from_stage(stage_of_layer[index], partial(layer, index))
    yield from _from_stage(
        last_stage, lambda: {FINAL_NORM: parameters["decoder.final_layernorm.weight"].data}
    )
    if not architecture.tied:
        yield from _from_stage(last_stage, lambda: {HEAD: _whole(parameters["output_layer.weight"], 0)})


def _whole_layer(architecture: Architecture, get: Callable[[str], Tensor]) -> Iterator[tuple[str, Tensor]]:
    """One layer's Hugging Face names and full values, from this stage's tensor-parallel ranks."""
    for hf_name, name in _NORMS.items():
        yield hf_name, get(name).data
    qkv = _whole(get("self_attention.linear_qkv.weight"), 0)
    yield from zip(_QKV, _split_qkv(architecture, qkv), strict=True)
    yield _OUT, _whole(get("self_attention.linear_proj.weight"), 1)
    halves = get("mlp.linear_fc1.weight").chunk(2)
    yield from zip(_GATE_UP, (_whole(half, 0) for half in halves), strict=True)
    yield _DOWN, _whole(get("mlp.linear_fc2.weight"), 1)


def _fuse_qkv(architecture: Architecture, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [G*R*D, H], k and v [G*D, H] -> [G*(R+2)*D, H]: for each group its queries, its key, its value."""
    groups, width = architecture.num_kv_heads, architecture.head_dim
    parts = [x.view(groups, -1, width, x.size(-1)) for x in (q, k, v)]
    return torch.cat(parts, dim=1).flatten(0, 2)


def _split_qkv(architecture: Architecture, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of `_fuse_qkv`."""
    groups, width = architecture.num_kv_heads, architecture.head_dim
    per_group = architecture.num_heads // groups
    grouped = qkv.view(groups, per_group + 2, width, qkv.size(-1))
    q, k, v = grouped.split([per_group, 1, 1], dim=1)
    return q.flatten(0, 2), k.flatten(0, 2), v.flatten(0, 2)


def _shard(value: Tensor, dim: int) -> Tensor:
    """This tensor-parallel rank's slice of `value` along `dim`."""
    size = parallel_state.get_tensor_model_parallel_world_size()
    return value.chunk(size, dim)[parallel_state.get_tensor_model_parallel_rank()] if size > 1 else value


def _whole(value: Tensor, dim: int) -> Tensor:
    """The tensor of which `value` is this tensor-parallel rank's slice along `dim`."""
    size = parallel_state.get_tensor_model_parallel_world_size()
    if size == 1:
        return value.data
    slices = [torch.empty_like(value) for _ in range(size)]
    group = parallel_state.get_tensor_model_parallel_group()
    dist.all_gather(slices, value.detach().contiguous(), group=group)
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
