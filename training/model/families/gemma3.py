"""Gemma 3 (2503.19786), text only: norms before and after attention and feed-forward, mostly local attention.

A norm multiplies by 1 + w. The feed-forward layer is GeGLU with gelu's tanh approximation. Embeddings are
scaled by sqrt(hidden). Layers of sliding attention see the last tokens only and have a rotary base of their
own. Scores are divided by sqrt(query_pre_attn_scalar). The pictures that larger Gemma 3 models take
(`model_type` "gemma3") are not covered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.model.families.base import COMMON, FULL, Family, Sliding, layer_weights, same_name
from training.model.families.config_fields import Fields
from training.model.families.rope import Check, Rope, read_rope, rope_checks

_SLIDING = "sliding_attention"
#: What transformers takes where a config.json does not say.
_FULL_EVERY, _FULL_BASE, _SLIDING_BASE, _QUERY_SCALAR = 6, 1_000_000.0, 10_000.0, 256.0


class _Gemma3(Family):
    """Adds what stands in fields that other families have not got."""

    def rope_checks(self, fields: Fields, path: Path) -> Iterator[Check]:
        """Two groups of parameters, one for each kind of attention."""
        for name in fields.group("rope_parameters"):
            yield "rope_parameters", name, (FULL, _SLIDING)
        full, sliding = _rope_groups(fields, path)
        yield from rope_checks(full, sliding)
        for name in ("rope_type", "type"):
            yield "rope_type", sliding.get(name), (None, "default")

    def rope(self, config: Mapping[str, Any], path: Path) -> Rope:
        """That of full attention."""
        return read_rope(_rope_groups(Fields(config, path), path)[0], path)

    def sliding(self, config: Mapping[str, Any], path: Path) -> Sliding | None:
        """Every sixth layer sees all, if `layer_types` does not say otherwise."""
        fields = Fields(config, path)
        every = fields.integer("sliding_window_pattern", _FULL_EVERY)
        types = fields.texts("layer_types") or [
            _SLIDING if number % every else FULL
            for number in range(1, fields.integer("num_hidden_layers") + 1)
        ]
        if _SLIDING not in types:
            return None
        return Sliding(
            window=fields.integer("sliding_window"),
            rope_theta=read_rope(_rope_groups(fields, path)[1], path).theta,
            layers=tuple(one == _SLIDING for one in types),
        )

    def softmax_scale(self, config: Mapping[str, Any], path: Path) -> float | None:
        """1 / sqrt(query_pre_attn_scalar), whatever a head's width."""
        return float(Fields(config, path).number("query_pre_attn_scalar", _QUERY_SCALAR) ** -0.5)


def _rope_groups(fields: Fields, path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Rotary parameters of full and of sliding attention, as transformers 5 or 4 wrote them."""
    groups = Fields(fields.group("rope_parameters"), path)
    full = {"rope_theta": fields.number("rope_theta", _FULL_BASE), **groups.group(FULL)}
    base = fields.number("rope_local_base_freq", _SLIDING_BASE)
    sliding = {"rope_theta": base, **groups.group(_SLIDING)}
    return full | dict(fields.group("rope_scaling")), sliding


GEMMA3 = _Gemma3(
    name="Gemma 3 (text)",
    model_type="gemma3_text",
    model_class="Gemma3ForCausalLM",
    layer=(
        *layer_weights(qk_norm=True, mlp_norm="pre_feedforward_layernorm"),
        same_name("self_attn_bda.norm.weight", "post_attention_layernorm.weight", ("hidden",), None),
        same_name("mlp_bda.norm.weight", "post_feedforward_layernorm.weight", ("hidden",), None),
    ),
    qk_norm=True,
    zero_centred_norms=True,
    post_norms=True,
    scaled_embedding=True,
    tied_by_default=True,
    activation="gelu_pytorch_tanh",
    layer_types=(FULL, _SLIDING),
    supported={
        **COMMON,
        "hidden_activation": (None, "gelu_pytorch_tanh"),
        "final_logit_softcapping": (None,),
        "attn_logit_softcapping": (None,),
        "use_bidirectional_attention": (None, False),
    },
)
