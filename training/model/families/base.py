"""What a family of dense decoders says of itself: all that is not a number in config.json.

A family is one file beside this one and a line in known.py. It states the fields of config.json that it
reads and the values that it takes, the tensors of a layer in Hugging Face's files and in Megatron's model,
and which pieces its layers are made of. Everything else (settings, model, conversion, engines) asks the
family and names none. Imports no torch: every command reads a config.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.model.families.config_fields import Fields
from training.model.families.rope import Check, Rope, read_rope, rope_checks, rope_parameters

FULL = "full_attention"
"""A layer whose tokens see all before them, as `layer_types` in config.json names it."""


@dataclass(frozen=True)
class Weight:
    """One of Megatron's tensors and the Hugging Face tensors that it is made of."""

    parameter: str
    """Name in the live model; for one of a layer's, the name within the layer."""
    key: str
    """Name in a torch_dist checkpoint, which is the same for every layer specification."""
    parts: Mapping[str, tuple[str, ...]] = field(hash=False)
    """Hugging Face names and shapes: one; gate and up; or q, k and v. A shape is made of the names of sizes:
    vocabulary, hidden, ffn, head, queries, keys (all query heads together, all key heads together)."""
    split: int | None
    """The dimension of each part that is divided over TP ranks; none where every rank has all of it."""


@dataclass(frozen=True)
class Sliding:
    """Attention to the last tokens only, in some of the layers."""

    window: int
    """Tokens that are seen, the own one included."""
    rope_theta: float
    """Base of the rotary frequencies of those layers, which are not stretched."""
    layers: tuple[bool, ...]
    """Which layers have it."""


@dataclass(frozen=True)
class Family:
    """What a `model_type` decides without a field of its own in config.json."""

    name: str
    """As people call it."""
    model_type: str
    """Its name in config.json."""
    model_class: str
    """Its language model in `architectures`: SGLang goes by that, transformers by `model_type`."""
    layer: tuple[Weight, ...]
    """The tensors of each layer, named within the layer."""
    qk_norm: bool = False
    """Whether queries and keys are normalised, each head by itself."""
    qkv_bias: bool = False
    """Whether the q, k and v projections have a bias."""
    implied_head_dim: bool = False
    """Whether a missing head_dim means hidden_size / num_attention_heads."""
    activation: str = "silu"
    """Of the gated feed-forward layer, by Megatron's name or transformers'."""
    zero_centred_norms: bool = False
    """Whether norms multiply by 1 + w instead of by w."""
    post_norms: bool = False
    """Whether there are norms after attention and feed-forward too."""
    scaled_embedding: bool = False
    """Whether embeddings are multiplied by sqrt(hidden), rounded to their type."""
    tied_by_default: bool = False
    """Whether a missing tie_word_embeddings means true."""
    layer_types: tuple[str, ...] = (FULL,)
    """The kinds of attention that its layers may have."""
    supported: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, compare=False)
    """The values of fields that change the computation under which it is the one that we do; None: not
    given."""

    def checks(self, config: Mapping[str, Any], path: Path) -> Iterator[Check]:
        """The fields of a config.json that must have a supported value."""
        fields = Fields(config, path)
        for model_class in fields.texts("architectures"):
            yield "architectures", model_class, (self.model_class,)
        for name, values in self.supported.items():
            yield name, config.get(name), values
        yield from self.rope_checks(fields, path)
        yield "partial_rotary_factor", config.get("partial_rotary_factor"), (None, 1)
        for layer_type in fields.texts("layer_types"):
            yield "layer_types", layer_type, self.layer_types

    def rope_checks(self, fields: Fields, path: Path) -> Iterator[Check]:
        """Those of the rotary parameters."""
        yield from rope_checks(fields.group("rope_scaling"), fields.group("rope_parameters"))

    def rope(self, config: Mapping[str, Any], path: Path) -> Rope:
        """How positions turn queries and keys in layers of full attention."""
        return read_rope(rope_parameters(config, path), path)

    def sliding(self, config: Mapping[str, Any], path: Path) -> Sliding | None:
        """The layers that do not see all tokens; None if all do."""
        return None

    def softmax_scale(self, config: Mapping[str, Any], path: Path) -> float | None:
        """What attention's scores are multiplied by; None is 1 / sqrt(head_dim)."""
        return None


def single(parameter: str, key: str, part: str, shape: tuple[str, ...], split: int | None) -> Weight:
    """A tensor of ours that is one of Hugging Face's."""
    return Weight(parameter, key, {part: shape}, split)


def same_name(name: str, part: str, shape: tuple[str, ...], split: int | None) -> Weight:
    """The same, with one name in the live model and in checkpoints."""
    return single(name, name, part, shape, split)


EMBEDDING = same_name(
    "embedding.word_embeddings.weight", "model.embed_tokens.weight", ("vocabulary", "hidden"), 0
)
FINAL_NORM = same_name("decoder.final_layernorm.weight", "model.norm.weight", ("hidden",), None)
HEAD = same_name("output_layer.weight", "lm_head.weight", ("vocabulary", "hidden"), 0)

_QKV = {"q": "queries", "k": "keys", "v": "keys"}


def layer_weights(
    *, qk_norm: bool = False, qkv_bias: bool = False, mlp_norm: str = "post_attention_layernorm"
) -> tuple[Weight, ...]:
    """A layer of norm, grouped-query attention, norm, gated feed-forward, as most families name its tensors.

    Megatron keeps a norm's weight with the matrix after it in checkpoints. `mlp_norm` is Hugging Face's name
    of the norm before the feed-forward layer.
    """
    attention, mlp = "self_attention", "mlp"
    qkv, fc1 = f"{attention}.linear_qkv", f"{mlp}.linear_fc1"
    projections = {f"self_attn.{part}_proj.weight": (rows, "hidden") for part, rows in _QKV.items()}
    gate_up = {f"mlp.{part}_proj.weight": ("ffn", "hidden") for part in ("gate", "up")}
    hidden = ("hidden",)
    weights = [
        single("input_layernorm.weight", f"{qkv}.layer_norm_weight", "input_layernorm.weight", hidden, None),
        Weight(f"{qkv}.weight", f"{qkv}.weight", projections, 0),
        same_name(f"{attention}.linear_proj.weight", "self_attn.o_proj.weight", ("hidden", "queries"), 1),
        single("pre_mlp_layernorm.weight", f"{fc1}.layer_norm_weight", f"{mlp_norm}.weight", hidden, None),
        Weight(f"{fc1}.weight", f"{fc1}.weight", gate_up, 0),
        same_name(f"{mlp}.linear_fc2.weight", "mlp.down_proj.weight", ("hidden", "ffn"), 1),
    ]
    if qkv_bias:
        biases = {f"self_attn.{part}_proj.bias": (rows,) for part, rows in _QKV.items()}
        weights.append(Weight(f"{qkv}.bias", f"{qkv}.bias", biases, 0))
    if qk_norm:
        weights += [
            same_name(
                f"{attention}.{part}_layernorm.weight", f"self_attn.{part}_norm.weight", ("head",), None
            )
            for part in "qk"
        ]
    return tuple(weights)


#: Fields that any family may have, where another value would change the computation.
COMMON: Mapping[str, tuple[Any, ...]] = {
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "attention_dropout": (None, 0),
    "pretraining_tp": (None, 1),
    "quantization_config": (None,),
}
#: The same of the families with SwiGLU and full attention in every layer.
PLAIN: Mapping[str, tuple[Any, ...]] = {
    **COMMON,
    "use_sliding_window": (None, False),
    "hidden_act": (None, "silu"),
}
