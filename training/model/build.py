"""Megatron-core's GPTModel in the shape of a Hugging Face checkpoint, on a CPU or a GPU.

Ours inside it are the attention (attention.py), the norms (kernels.py) and the end (gpt.py, head.py), because
Megatron's own need CUDA buffers, Transformer Engine or all logits at once.

Not covered: mixture of experts, context parallelism, virtual pipeline stages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_block import (
    TransformerBlockSubmodules,
    get_num_layers_to_build,
)
from megatron.core.transformer.transformer_config import TransformerConfig
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.model.attention import CausalAttention, RotaryAttention
from training.model.gpt import GPTBackbone
from training.model.kernels import Kernels, RMSNorm, open_kernels
from training.model.lora import adapt, freeze_base
from training.model.megatron_cpu import cpu_compat
from training.model.post_norms import NormalisedAdd
from training.model.vocabulary import padded_vocab_size
from training.model.weight_gradients import offer_to_megatron
from training.settings.architecture import Architecture
from training.settings.implied import check_given
from training.settings.jobs import MegatronSettings
from training.settings.supported import HONOURED


def extra_fields(config: type, settings: MegatronSettings) -> dict[str, Any]:
    """The free `megatron:` settings that are fields of `config`, a Megatron config class.

    Without those that only say what is so anyway (`training.settings.supported`) or what config.json says
    too, which `build_model` checks.
    """
    names = {field.name for field in dataclasses.fields(config)} & HONOURED
    return {name: value for name, value in settings.extra.items() if name in names}


@contextmanager
def megatron_refusals() -> Iterator[None]:
    """Within it, what Megatron says against a combination of settings is raised as a WarpsmithError.

    Its config classes check one field against another, some only when model or optimizer are built.
    """
    try:
        yield
    except (ValueError, AssertionError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WarpsmithError(
            f"megatron settings: {reason}; change or remove what it names in section `megatron:`"
        ) from error


def build_model(architecture: Architecture, settings: MegatronSettings, dtype: torch.dtype) -> GPTBackbone:
    """This rank's part of the model, with arbitrary weights of type `dtype`.

    Needs Megatron's parallel state to be initialised with the TP and PP sizes of `settings`.
    """
    architecture.check_split(settings.tensor_model_parallel_size, settings.pipeline_model_parallel_size)
    check_given(architecture, settings.model_dump())
    vocab_size = padded_vocab_size(
        architecture.vocab_size, settings.tensor_model_parallel_size, settings.make_vocab_size_divisible_by
    )
    kernels = open_kernels(settings.fused_kernels, zero_centred_norms=architecture.family.zero_centred_norms)
    with megatron_refusals():
        config = _transformer_config(architecture, settings, dtype, fused=kernels.fused)
    if config.gradient_accumulation_fusion:
        offer_to_megatron()
    with cpu_compat(), megatron_refusals():
        model = GPTBackbone(
            config,
            _block_spec(architecture, settings, config, kernels),
            vocab_size=vocab_size,
            max_sequence_length=architecture.max_positions,
            pre_process=parallel_state.is_pipeline_first_stage(),
            post_process=parallel_state.is_pipeline_last_stage(),
            share_embeddings_and_output_weights=architecture.tied,
            position_embedding_type="rope",
            architecture=architecture,
        )
        model.to(dtype).cuda()
        if settings.lora_rank:
            freeze_base(model)
        return model


def _block_spec(
    architecture: Architecture, settings: MegatronSettings, config: TransformerConfig, kernels: Kernels
) -> TransformerBlockSubmodules:
    """This stage's layers: Megatron's plain PyTorch layer with our attention and norms."""
    spec = get_gpt_layer_local_spec(qk_layernorm=architecture.family.qk_norm, normalization="RMSNorm")
    norm = ModuleSpec(RMSNorm, params={"rms_norm": kernels.rms_norm})
    spec.submodules.input_layernorm = spec.submodules.pre_mlp_layernorm = norm
    attention = spec.submodules.self_attention
    attention.module = RotaryAttention
    windows = {"windows": architecture.windows}
    attention.params |= {"rotate": kernels.rotate, **windows}
    attention.submodules.core_attention = ModuleSpec(CausalAttention, params=windows)
    if architecture.family.post_norms:
        add = ModuleSpec(NormalisedAdd, params={"config": config, "norm": norm})
        spec.submodules.self_attn_bda = spec.submodules.mlp_bda = add
    if architecture.family.qk_norm:
        attention.submodules.q_layernorm = attention.submodules.k_layernorm = norm
    if settings.lora_rank:
        adapt(spec, architecture, settings)
    layers = get_num_layers_to_build(config, pp_rank=parallel_state.get_pipeline_model_parallel_rank())
    return TransformerBlockSubmodules(layer_specs=[spec] * layers, layer_norm=norm)


def _transformer_config(
    architecture: Architecture, settings: MegatronSettings, dtype: torch.dtype, *, fused: bool
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
        "layernorm_zero_centered_gamma": architecture.family.zero_centred_norms,
        "softmax_scale": architecture.softmax_scale,
        "qk_layernorm": architecture.family.qk_norm,
        "add_qkv_bias": architecture.family.qkv_bias,
        "gated_linear_unit": True,
        "activation_func": _activation(architecture, fused),
        "add_bias_linear": False,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "tensor_model_parallel_size": settings.tensor_model_parallel_size,
        "sequence_parallel": settings.sequence_parallel,
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
        "bias_activation_fusion": fused,
        "gradient_accumulation_fusion": torch.cuda.is_available(),
        # These fused kernels need CUDA extensions.
        "bias_dropout_fusion": False,
        "masked_softmax_fusion": False,
        "apply_rope_fusion": False,
        "persist_layer_norm": False,
        "cuda_graph_scope": [],
    }
    return TransformerConfig(**(fields | extra_fields(TransformerConfig, settings)))


def _activation(architecture: Architecture, fused: bool) -> Callable[[Tensor], Tensor]:
    """The feed-forward layer's; Megatron's fused function for `gelu` is the tanh approximation."""
    if architecture.family.activation == "silu":
        return F.silu
    return F.gelu if fused else partial(F.gelu, approximate="tanh")


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
