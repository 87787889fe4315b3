"""Which of Megatron's fields this trainer honours. Any other is refused, unless it says what is so anyway.

A field that nothing here reads would be ignored in silence, and one that the trainer decides itself would
break it: either is worse than a sentence. What config.json decides is checked in `training.settings.implied`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from training.settings.source_fields import SourceField

#: Handed to Megatron's config classes as they are.
HONOURED = frozenset(
    {
        # DistributedDataParallelConfig
        "bucket_size",
        "check_for_large_grads",
        "check_for_nan_in_grad",
        "grad_reduce_in_fp32",
        "overlap_grad_reduce",
        "pad_buckets_for_high_nccl_busbw",
        "reduce_scatter_with_fp32_accumulation",
        # OptimizerConfig
        "apply_wd_to_qk_layernorm",
        "decoupled_weight_decay",
        "log_num_zeros_in_grad",
        # TransformerConfig
        "batch_p2p_comm",
        "batch_p2p_sync",
        "bias_activation_fusion",
        "bias_dropout_fusion",
        "clone_scatter_output_in_embedding",
        "config_logger_dir",
        "deallocate_pipeline_outputs",
        "deterministic_mode",
        "distribute_saved_activations",
        "embedding_init_method_std",
        "gradient_accumulation_fusion",
        "init_method_std",
        "recompute_granularity",
        "recompute_method",
        "recompute_modules",
        "recompute_num_layers",
    }
)

#: What the trainer does, where that is not, or not only, Megatron's default.
_SO_ANYWAY: Mapping[str, tuple[Any, ...]] = {
    "calculate_per_token_loss": (True,),
    "attention_backend": ("auto", "flash"),
    "transformer_impl": ("local", "transformer_engine"),
}

#: Why fields are refused: the first pattern that the whole name matches.
_REASONS: tuple[tuple[str, str], ...] = (
    (
        "calculate_per_token_loss|average_in_collective",
        "losses are shares of a global sum, which must not be averaged again",
    ),
    (
        "fp16|.*loss_scale|loss_scale_window|hysteresis|enable_autocast",
        "float16 is not covered, bfloat16 is (`bf16`)",
    ),
    ("fp8.*|fp4.*|.*_fp8.*|.*mxfp8.*|.*kitchen.*|.*_in_bf16|first_last.*", "8 and 4 bits are not covered"),
    ("context_parallel.*|.*hybrid_context.*|hierarchical.*|.*_cp_.*|cp_.*", "sequences are not divided (CP)"),
    ("virtual_pipeline.*|microbatch_group.*|overlap_p2p.*", "virtual pipeline stages are not covered"),
    (
        "num_layers_in_.*|pipeline_model_parallel_layout|account_for_.*",
        "pipeline stages get equal shares of the layers, the first ones one more",
    ),
    ("expert_.*|moe_.*|.*_expert_.*", "mixture of experts is not covered"),
    ("optimizer|muon_.*|sgd_.*", "the optimizer is AdamW"),
    ("decoupled_(min_)?lr", "all weights have one learning rate, `--sft-lr` or `--grpo-lr`"),
    ("overlap_param_gather.*", "weights are read between steps, when they must be whole"),
    (
        ".*fsdp.*|.*sharding_strategy",
        "FSDP is not covered (`use_distributed_optimizer` shards the optimizer)",
    ),
    ("attention_backend", "attention runs in PyTorch's flash and cuDNN kernels"),
    ("cross_entropy_.*", "the loss has kernels of its own (`fused_kernels`)"),
    ("tp_comm_.*|transformer_impl|use_te_.*|apply_rope_fusion|.*qkv_rope", "Transformer Engine is not used"),
    (".*cuda_graph.*", "CUDA graphs are not covered: the shapes of batches vary"),
    (".*offload.*", "nothing is moved to the CPU (recompute_granularity saves memory)"),
    ("flash_decode|.*inference.*|.*_for_prefill|batch_invariant_mode", "generation is the rollout engine's"),
)
_OTHERWISE = "this trainer does not use it"


def reason_against(name: str) -> str | None:
    """Why a field of Megatron's is not honoured; None if it is."""
    if name in HONOURED:
        return None
    return next((reason for pattern, reason in _REASONS if re.fullmatch(pattern, name)), _OTHERWISE)


def require_supported(field: SourceField, value: Any) -> None:
    """Raise ValueError if `field` is not honoured and `value` asks for anything but what is so anyway."""
    reason = reason_against(field.name)
    if reason is not None and value not in _so_anyway(field):
        raise ValueError(f"`{field.name}` cannot be {value!r}: {reason}; leave it out")


def _so_anyway(field: SourceField) -> tuple[Any, ...]:
    """The values of a field that change nothing here."""
    if field.name in _SO_ANYWAY:
        return _SO_ANYWAY[field.name]
    try:
        return (ast.literal_eval(field.default),)
    except (ValueError, SyntaxError):  # an expression, a name, or no default at all
        return (None,)
