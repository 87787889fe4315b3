"""Model settings that config.json implies, by Megatron's names, and the check of those given by hand.

A profile needs none of them. Whoever brings a `megatron:` section or a command line from slime has them
all, and a wrong one must neither win silently over the checkpoint nor lose silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evaluation.errors import WarpsmithError
from evaluation.marks import Result
from evaluation.problem import Frozen
from training.settings.architecture import Architecture


class ImpliedSettings(Frozen):
    """Arguments of Megatron-LM that are no fields of its config classes; all are checked, none is needed."""

    vocab_size: Result[int | None] = None
    """Tokens of the model before padding; config.json decides, another value is refused."""
    max_position_embeddings: Result[int | None] = None
    """Longest sequence of the model; config.json decides, another value is refused."""
    group_query_attention: Result[bool | None] = None
    """Whether query heads share keys and values; config.json decides, another value is refused."""
    position_embedding_type: Result[str | None] = None
    """Always `rope`; another value is refused."""
    use_rotary_position_embeddings: Result[bool | None] = None
    """Always true; another value is refused."""
    rotary_base: Result[float | None] = None
    """Base of the rotary frequencies; config.json decides, another value is refused."""
    rotary_percent: Result[float | None] = None
    """Share of a head's channels that are rotated: always 1; another value is refused."""
    use_rope_scaling: Result[bool | None] = None
    """Whether rotary frequencies are stretched as in Llama 3.1; config.json decides."""
    rope_scaling_factor: Result[float | None] = None
    """How much they are stretched; config.json decides, another value is refused."""
    untie_embeddings_and_output_weights: Result[bool | None] = None
    """Whether the output layer has its own weights; config.json decides, another value is refused."""


#: What config.json says about a setting: the fields above and those of Megatron's TransformerConfig.
MODEL_FIELDS: Mapping[str, Callable[[Architecture], Any]] = {
    "num_layers": lambda model: model.num_layers,
    "hidden_size": lambda model: model.hidden_size,
    "ffn_hidden_size": lambda model: model.ffn_hidden_size,
    "num_attention_heads": lambda model: model.num_heads,
    "num_query_groups": lambda model: model.num_kv_heads,
    "group_query_attention": lambda model: model.num_kv_heads != model.num_heads,
    "kv_channels": lambda model: model.head_dim,
    "vocab_size": lambda model: model.vocab_size,
    "max_position_embeddings": lambda model: model.max_positions,
    "normalization": lambda _: "RMSNorm",
    "layernorm_epsilon": lambda model: model.norm_eps,
    "layernorm_zero_centered_gamma": lambda model: model.family.zero_centred_norms,
    "qk_layernorm": lambda model: model.family.qk_norm,
    "qk_l2_norm": lambda _: False,
    "add_qkv_bias": lambda model: model.family.qkv_bias,
    "add_bias_linear": lambda _: False,
    "gated_linear_unit": lambda _: True,
    "activation_func": lambda model: model.family.activation,
    "position_embedding_type": lambda _: "rope",
    "use_rotary_position_embeddings": lambda _: True,
    "rotary_base": lambda model: model.rope_theta,
    "rotary_percent": lambda _: 1.0,
    "rotary_interleaved": lambda _: False,
    "use_rope_scaling": lambda model: model.rope_scaling is not None,
    "rope_scaling_factor": lambda model: model.rope_scaling.factor if model.rope_scaling else 1.0,
    "untie_embeddings_and_output_weights": lambda model: not model.tied,
    "apply_residual_connection_post_layernorm": lambda _: False,
    "multi_latent_attention": lambda _: False,
    "num_moe_experts": lambda _: None,
    "mtp_num_layers": lambda _: None,
    "window_size": lambda model: [model.sliding.window - 1, 0] if model.sliding else None,
    "window_attn_skip_freq": lambda model: list(map(int, model.sliding.layers)) if model.sliding else None,
    "no_rope_freq": lambda _: None,
    "hidden_dropout": lambda _: 0.0,
    "attention_dropout": lambda _: 0.0,
    "softmax_scale": lambda model: model.softmax_scale,
    "softmax_type": lambda _: "vanilla",
    "attention_output_gate": lambda _: False,
    "glu_linear_offset": lambda _: 0.0,
    "activation_func_clamp_value": lambda _: None,
}


def check_given(architecture: Architecture, given: Mapping[str, Any]) -> None:
    """Raise WarpsmithError if a model setting in `given` (a `megatron:` section) contradicts config.json."""
    for name, implied in MODEL_FIELDS.items():
        value, expected = given.get(name), implied(architecture)
        if value is not None and not _same(value, expected):
            raise WarpsmithError(
                f"megatron.{name} is {value!r} but {architecture.source} says {expected!r}; "
                "remove the setting, or use the checkpoint that it belongs to"
            )


def _same(value: Any, expected: Any) -> bool:
    """Whether two spellings mean the same: YAML reads 1e-6 as text and 1000000 as an integer."""
    if isinstance(expected, bool) or isinstance(value, bool) or expected is None:
        return value is expected
    if isinstance(expected, list):
        return isinstance(value, (list, tuple)) and list(value) == expected
    if isinstance(expected, str):
        return str(value).casefold() == expected.casefold()
    try:
        return float(value) == float(expected)
    except (TypeError, ValueError):
        return False
