"""Megatron-core's GPTModel in the shape of a Hugging Face checkpoint, on a CPU or a GPU.

The only module of ours inside it is the attention core, over PyTorch's scaled dot-product attention,
because Megatron's own needs CUDA buffers or Transformer Engine. Batches are right-padded: with a causal
mask no real token sees the padding after it, so no attention mask is needed.

Not covered: mixture of experts, context and sequence parallelism, virtual pipeline stages.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.distributed import DistributedDataParallelConfig
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.optimizer import OptimizerConfig
from megatron.core.transformer.transformer_config import TransformerConfig
from torch import Tensor, nn

from training.architecture import Architecture
from training.config import MegatronSettings
from training.megatron_cpu import cpu_compat


class CausalAttention(nn.Module):
    """Megatron's `core_attention` over scaled_dot_product_attention: causal, grouped queries, no dropout."""

    def __init__(self, config: TransformerConfig, softmax_scale: float | None = None, **_: Any) -> None:
        super().__init__()
        self.softmax_scale = softmax_scale

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> Tensor:
        """Attend: query [S, B, heads, D], key and value [S, B, groups, D] give [S, B, heads * D]."""
        if attention_mask is not None:
            raise ValueError("batches are right-padded and causal; they take no attention mask")
        q, k, v = (x.permute(1, 2, 0, 3) for x in (query, key, value))
        grouped = q.size(1) != k.size(1)
        out = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=self.softmax_scale, enable_gqa=grouped
        )
        return out.permute(2, 0, 1, 3).flatten(2)


@cache
def megatron_fields() -> frozenset[str]:
    """Names of all fields of the Megatron configs that `megatron:` settings may set."""
    configs = (TransformerConfig, OptimizerConfig, DistributedDataParallelConfig)
    return frozenset(field.name for config in configs for field in dataclasses.fields(config))


def extra_fields(config: type, settings: MegatronSettings) -> dict[str, Any]:
    """The free `megatron:` settings that are fields of `config`, a Megatron config class."""
    names = {field.name for field in dataclasses.fields(config)}
    return {name: value for name, value in settings.extra.items() if name in names}


def build_model(architecture: Architecture, settings: MegatronSettings, dtype: torch.dtype) -> GPTModel:
    """This rank's part of the model, with arbitrary weights of type `dtype`.

    Needs Megatron's parallel state to be initialised with the TP and PP sizes of `settings`.
    """
    architecture.check_split(settings.tensor_model_parallel_size, settings.pipeline_model_parallel_size)
    with cpu_compat():
        model = GPTModel(
            _transformer_config(architecture, settings, dtype),
            _layer_spec(),
            vocab_size=architecture.vocab_size,
            max_sequence_length=architecture.max_positions,
            pre_process=parallel_state.is_pipeline_first_stage(),
            post_process=parallel_state.is_pipeline_last_stage(),
            share_embeddings_and_output_weights=architecture.tied,
            position_embedding_type="rope",
            rotary_base=architecture.rope_theta,
        )
        return model.to(dtype).cuda()


def _layer_spec() -> Any:
    """Megatron's plain PyTorch layer with our attention core."""
    spec = get_gpt_layer_local_spec(qk_layernorm=True, normalization="RMSNorm")
    spec.submodules.self_attention.submodules.core_attention = CausalAttention
    return spec


def _transformer_config(
    architecture: Architecture, settings: MegatronSettings, dtype: torch.dtype
) -> TransformerConfig:
    """Translate the architecture; free `megatron:` settings come last and win."""
    fields: dict[str, Any] = {
        "num_layers": architecture.num_layers,
        "hidden_size": architecture.hidden_size,
        "ffn_hidden_size": architecture.ffn_hidden_size,
        "num_attention_heads": architecture.num_heads,
        "num_query_groups": architecture.num_kv_heads,
        "kv_channels": architecture.head_dim,
        "normalization": "RMSNorm",
        "layernorm_epsilon": architecture.norm_eps,
        "qk_layernorm": True,
        "gated_linear_unit": True,
        "activation_func": F.silu,
        "add_bias_linear": False,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "tensor_model_parallel_size": settings.tensor_model_parallel_size,
        "pipeline_model_parallel_size": settings.pipeline_model_parallel_size,
        "pipeline_model_parallel_layout": _uneven_layout(architecture, settings),
        "pipeline_dtype": dtype,
        "params_dtype": dtype,
        "bf16": dtype is torch.bfloat16,
        # Micro-batches are padded to their own longest sequence, so shapes differ between them.
        "variable_seq_lengths": settings.pipeline_model_parallel_size > 1,
        "moe_token_dispatcher_type": "alltoall",  # the only one that Megatron allows with varying lengths
        "batch_p2p_comm": False,
        # Losses are shares of a global sum (see losses.py); Megatron must not average them again.
        "calculate_per_token_loss": True,
        # Weights are always overwritten, but without initialising them Megatron does not mark which are
        # split over TP, and gets gradient norms wrong.
        "perform_initialization": True,
        "use_cpu_initialization": not torch.cuda.is_available(),
        # The fused kernels need CUDA extensions.
        "bias_activation_fusion": False,
        "bias_dropout_fusion": False,
        "masked_softmax_fusion": False,
        "apply_rope_fusion": False,
        "gradient_accumulation_fusion": False,
        "persist_layer_norm": False,
        "cuda_graph_scope": [],
    }
    return TransformerConfig(**(fields | extra_fields(TransformerConfig, settings)))


def _uneven_layout(architecture: Architecture, settings: MegatronSettings) -> list[list[str]] | None:
    """Layers by pipeline stage where they do not divide evenly: earlier stages take one more; else None."""
    stages = settings.pipeline_model_parallel_size
    if architecture.num_layers % stages == 0:
        return None
    each, more = divmod(architecture.num_layers, stages)
    layout = [["decoder"] * (each + (stage < more)) for stage in range(stages)]
    layout[0].insert(0, "embedding")
    layout[-1].append("loss")
    return layout
