"""The shape of a model, read from a Hugging Face `config.json` and checked against what we support.

Three families of dense decoders differ in a few fields only: Qwen3 normalises queries and keys, Qwen2
(which includes Qwen2.5) adds a bias to q, k and v, Llama 3 does neither and scales its rotary frequencies
from 3.1 on. Anything that we would compute differently from transformers is refused by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import WarpsmithError

if TYPE_CHECKING:
    from training.settings.jobs import ModelSettings


@dataclass(frozen=True)
class _Family:
    """What a `model_type` decides without a field of its own in config.json."""

    model_class: str
    """Its language model in `architectures`: SGLang goes by that, transformers by `model_type`."""
    qk_norm: bool
    qkv_bias: bool
    implied_head_dim: bool
    """Whether a missing head_dim means hidden_size / num_attention_heads."""


_FAMILIES = {
    "qwen3": _Family("Qwen3ForCausalLM", qk_norm=True, qkv_bias=False, implied_head_dim=False),
    "qwen2": _Family("Qwen2ForCausalLM", qk_norm=False, qkv_bias=True, implied_head_dim=True),
    "llama": _Family("LlamaForCausalLM", qk_norm=False, qkv_bias=False, implied_head_dim=True),
}
SUPPORTED_MODEL_TYPES = tuple(_FAMILIES)
_DTYPES = ("float32", "bfloat16", "float16")
_ROPE_TYPES = ("default", "llama3")
_LLAMA3_FIELDS = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
#: What a group of rotary parameters may hold; anything else, such as Qwen2-VL's mrope_section, may matter.
_ROPE_FIELDS = ("rope_type", "type", "rope_theta", "partial_rotary_factor", *_LLAMA3_FIELDS)
#: The values of fields that change the computation under which it is the one that we do; None: not given.
_SUPPORTED_VALUES: Mapping[str, tuple[Any, ...]] = {
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "use_sliding_window": (None, False),
    "hidden_act": (None, "silu"),
    "attention_dropout": (None, 0),
    "pretraining_tp": (None, 1),
    "quantization_config": (None,),
}


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3.1's stretch of the low rotary frequencies (`rope_type` "llama3"); see `rotary`."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_positions: int


@dataclass(frozen=True)
class Architecture:
    """A dense decoder: RMSNorm, SwiGLU, rotary positions, grouped-query attention."""

    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_positions: int
    rope_theta: float
    norm_eps: float
    tied: bool
    """Whether the output layer shares the embedding's weights."""
    dtype: str
    """Type of the stored weights, by torch's name."""
    qk_norm: bool = True
    """Whether queries and keys are normalised, each head by itself (Qwen3)."""
    qkv_bias: bool = False
    """Whether the q, k and v projections have a bias (Qwen2)."""
    rope_scaling: RopeScaling | None = None
    """How rotary frequencies are stretched; none leaves them as `rope_theta` gives them."""
    source: Path = field(default=Path("config.json"), compare=False)
    """The file it was read from, for messages."""

    def check_split(self, tensor_parallel: int, pipeline_parallel: int) -> None:
        """Raise WarpsmithError unless the model can be divided over TP x PP processes.

        The vocabulary need not divide: it is padded (`training.model.vocabulary`).
        """
        for name, count in (
            ("num_attention_heads", self.num_heads),
            ("num_key_value_heads", self.num_kv_heads),
            ("intermediate_size", self.ffn_hidden_size),
        ):
            if count % tensor_parallel:
                raise WarpsmithError(
                    f"{name} {count} cannot be divided by tensor_model_parallel_size {tensor_parallel}; "
                    "choose a size that divides it"
                )
        if pipeline_parallel > self.num_layers:
            raise WarpsmithError(
                f"pipeline_model_parallel_size {pipeline_parallel} exceeds the model's "
                f"{self.num_layers} layers; choose a smaller one"
            )

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor in a Hugging Face checkpoint of this architecture."""
        layer = self._layer_shapes()
        shapes = {"model.embed_tokens.weight": (self.vocab_size, self.hidden_size)} | {
            f"model.layers.{index}.{name}": shape
            for index in range(self.num_layers)
            for name, shape in layer.items()
        }
        shapes["model.norm.weight"] = (self.hidden_size,)
        if not self.tied:
            shapes["lm_head.weight"] = (self.vocab_size, self.hidden_size)
        return shapes

    def _layer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name within the layer and shape of every tensor of one layer."""
        hidden, ffn = self.hidden_size, self.ffn_hidden_size
        rows = {
            "q": self.num_heads * self.head_dim,
            "k": self.num_kv_heads * self.head_dim,
            "v": self.num_kv_heads * self.head_dim,
        }
        shapes: dict[str, tuple[int, ...]] = {"input_layernorm.weight": (hidden,)}
        shapes |= {f"self_attn.{part}_proj.weight": (count, hidden) for part, count in rows.items()}
        if self.qkv_bias:
            shapes |= {f"self_attn.{part}_proj.bias": (count,) for part, count in rows.items()}
        if self.qk_norm:
            shapes |= {f"self_attn.{part}_norm.weight": (self.head_dim,) for part in "qk"}
        return shapes | {
            "self_attn.o_proj.weight": (hidden, rows["q"]),
            "post_attention_layernorm.weight": (hidden,),
            "mlp.gate_proj.weight": (ffn, hidden),
            "mlp.up_proj.weight": (ffn, hidden),
            "mlp.down_proj.weight": (hidden, ffn),
        }


def read_architecture(hf_dir: Path) -> Architecture:
    """The architecture of the checkpoint in `hf_dir`; WarpsmithError if there is none that we support."""
    path = hf_dir / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WarpsmithError(f"{path} is missing; {hf_dir} is not a Hugging Face checkpoint") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WarpsmithError(f"{path} cannot be read ({error}); download the checkpoint again") from None
    if not isinstance(config, dict):
        raise WarpsmithError(f"{path} does not hold a JSON object; download the checkpoint again")
    _refuse_unsupported(config, path)
    return _from_config(config, path)


def planned_architecture(model: ModelSettings) -> Architecture:
    """The architecture that the section `model:` asks for: its checkpoint's, or the Qwen3 it describes.

    Raises:
        WarpsmithError: the checkpoint is not there, or not one that we support; nothing describes a model.
    """
    if model.hf_checkpoint is not None:
        return read_architecture(Path(model.hf_checkpoint))
    config = {"model_type": "qwen3", "dtype": "float32", **model.model_dump(), **model.shape}
    return _from_config(config, Path("the profile's section `model`"))


class _Fields:
    """Reads the fields of a config.json, each in its type and no other: WarpsmithError names a wrong one."""

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self._values, self._path = values, path

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number above 0; `default`, where there is one, if the field is not given."""
        value = self._given(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong(name, "is not a whole number above 0")
        return value

    def number(self, name: str) -> float:
        """A finite number above 0."""
        value = self._given(name, None)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value <= sys.float_info.max:
            raise self.wrong(name, "is not a finite number above 0")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._given(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "is neither true nor false")
        return value

    def group(self, name: str) -> Mapping[str, Any]:
        """An object within the object, empty if it is not given."""
        value = self._given(name, {})
        if not isinstance(value, Mapping):
            raise self.wrong(name, "is not an object")
        return value

    def texts(self, name: str) -> Sequence[str]:
        """A list of texts, empty if it is not given."""
        value = self._given(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(name, "is not a list of texts")
        return value

    def wrong(self, name: str, what: str) -> WarpsmithError:
        """What to raise about a field."""
        value = f"{self._values.get(name)!r:.80}"
        return WarpsmithError(
            f"{self._path} has {name} {value}, which {what}; correct it, or download the checkpoint again"
        )

    def _given(self, name: str, default: Any) -> Any:
        value = self._values.get(name)
        value = default if value is None else value
        if value is None:
            raise WarpsmithError(f"{self._path} lacks the field {name}; download the checkpoint again")
        return value


def _from_config(config: Mapping[str, Any], path: Path) -> Architecture:
    family = _FAMILIES[config["model_type"]]
    fields, rope = _Fields(config, path), _rope(config, path)
    heads, hidden = fields.integer("num_attention_heads"), fields.integer("hidden_size")
    kv_heads = fields.integer("num_key_value_heads", heads)
    if heads % kv_heads:
        raise fields.wrong("num_key_value_heads", f"does not divide num_attention_heads {heads}")
    head_dim = fields.integer("head_dim", hidden // heads if family.implied_head_dim else None)
    if head_dim % 2:
        raise fields.wrong("head_dim", "is odd, but rotary embeddings turn pairs of channels")
    return Architecture(
        num_layers=fields.integer("num_hidden_layers"),
        hidden_size=hidden,
        ffn_hidden_size=fields.integer("intermediate_size"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        vocab_size=fields.integer("vocab_size"),
        max_positions=fields.integer("max_position_embeddings"),
        rope_theta=_Fields(rope, path).number("rope_theta"),
        norm_eps=fields.number("rms_norm_eps"),
        tied=fields.flag("tie_word_embeddings", False),
        dtype=_dtype(config),
        qk_norm=family.qk_norm,
        qkv_bias=family.qkv_bias,
        rope_scaling=_rope_scaling(rope, path),
        source=path,
    )


def _dtype(config: Mapping[str, Any]) -> str:
    return str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")


def _rope(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The rotary parameters: transformers 5 groups them, transformers 4 kept the base at the top level.

    Where both of its groups are given, transformers 5 reads `rope_scaling` alone and others may not, so they
    must agree.
    """
    fields = _Fields(config, path)
    scaling, parameters = fields.group("rope_scaling"), fields.group("rope_parameters")
    if scaling and parameters and scaling != parameters:
        raise fields.wrong("rope_scaling", f"is not what rope_parameters {parameters!r:.200} says")
    top_level = {name: config[name] for name in ("rope_theta", "partial_rotary_factor") if name in config}
    return top_level | dict(scaling or parameters)


def _rope_type(rope: Mapping[str, Any]) -> Any:
    return rope.get("rope_type") or rope.get("type") or "default"


def _rope_scaling(rope: Mapping[str, Any], path: Path) -> RopeScaling | None:
    if _rope_type(rope) == "default":
        return None
    fields = _Fields(rope, path)
    return RopeScaling(
        factor=fields.number("factor"),
        low_freq_factor=fields.number("low_freq_factor"),
        high_freq_factor=fields.number("high_freq_factor"),
        original_max_positions=fields.integer("original_max_position_embeddings"),
    )


def _refuse_unsupported(config: Mapping[str, Any], path: Path) -> None:
    """Raise WarpsmithError for a model whose weights we would misplace or misuse."""
    fields = _Fields(config, path)
    family = _FAMILIES.get(str(config.get("model_type")))
    model_classes = (family.model_class,) if family else ()
    layer_types = fields.texts("layer_types")
    checks = [
        ("model_type", config.get("model_type"), SUPPORTED_MODEL_TYPES),
        *(("architectures", model_class, model_classes) for model_class in fields.texts("architectures")),
        *((name, config.get(name), values) for name, values in _SUPPORTED_VALUES.items()),
        *_rope_checks(config, path),
        *(("layer_types", layer_type, ("full_attention",)) for layer_type in layer_types),
        ("dtype", _dtype(config), _DTYPES),
    ]
    for name, value, supported in checks:
        if value not in supported:
            known = " or ".join(str(one) for one in supported if one is not None) or "none"
            raise WarpsmithError(
                f"{path} has {name} {value!r:.80}, which is not supported (only {known}); use a dense Qwen3, "
                "Qwen2.5 or Llama 3 checkpoint"
            )
    if layer_types and len(layer_types) != fields.integer("num_hidden_layers"):
        raise fields.wrong("layer_types", f"does not name {config['num_hidden_layers']} layers")


def _rope_checks(config: Mapping[str, Any], path: Path) -> list[tuple[str, Any, tuple[Any, ...]]]:
    """Name, value and supported values of the rotary parameters, wherever they stand."""
    fields = _Fields(config, path)
    groups = [fields.group(name) for name in ("rope_scaling", "rope_parameters")]
    types = [group.get(name) for group in groups for name in ("rope_type", "type")]
    factors = [place.get("partial_rotary_factor") for place in (config, *groups)]
    others = [item for group in groups for item in group.items() if item[0] not in _ROPE_FIELDS]
    return [
        *(("rope_type", rope_type, (None, *_ROPE_TYPES)) for rope_type in types),
        *(("partial_rotary_factor", factor, (None, 1)) for factor in factors),
        *((name, value, (None,)) for name, value in others),
    ]
