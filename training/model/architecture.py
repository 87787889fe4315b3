"""The shape of a model, read from a Hugging Face `config.json` and checked against what we support.

Three families of dense decoders differ in a few fields only: Qwen3 normalises queries and keys, Qwen2
(which includes Qwen2.5) adds a bias to q, k and v, Llama 3 does neither and scales its rotary frequencies
from 3.1 on. Anything that we would compute differently from transformers is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import WarpsmithError

if TYPE_CHECKING:
    from training.config import ModelSettings


@dataclass(frozen=True)
class _Family:
    """What a `model_type` decides without a field of its own in config.json."""

    qk_norm: bool
    qkv_bias: bool
    implied_head_dim: bool
    """Whether a missing head_dim means hidden_size / num_attention_heads."""


_FAMILIES = {
    "qwen3": _Family(qk_norm=True, qkv_bias=False, implied_head_dim=False),
    "qwen2": _Family(qk_norm=False, qkv_bias=True, implied_head_dim=True),
    "llama": _Family(qk_norm=False, qkv_bias=False, implied_head_dim=True),
}
SUPPORTED_MODEL_TYPES = tuple(_FAMILIES)
_DTYPES = ("float32", "bfloat16", "float16")
_ROPE_TYPES = ("default", "llama3")
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
        config = json.loads(path.read_text())
    except FileNotFoundError:
        raise WarpsmithError(f"{path} is missing; {hf_dir} is not a Hugging Face checkpoint") from None
    except (OSError, ValueError) as error:
        raise WarpsmithError(f"{path} cannot be read ({error}); download the checkpoint again") from None
    if not isinstance(config, dict):
        raise WarpsmithError(f"{path} does not hold a JSON object; download the checkpoint again")
    _refuse_unsupported(config, path)
    try:
        return _from_config(config, path)
    except (KeyError, TypeError, ValueError) as error:
        raise WarpsmithError(
            f"{path} lacks or garbles a field ({error}); download the checkpoint again"
        ) from None


def planned_architecture(model: ModelSettings) -> Architecture:
    """The architecture that the section `model:` asks for: its checkpoint's, or the Qwen3 it describes.

    Raises:
        WarpsmithError: the checkpoint is not there, or not one that we support.
    """
    if model.hf_checkpoint is not None:
        return read_architecture(Path(model.hf_checkpoint))
    config = {"model_type": "qwen3", "dtype": "float32", **model.model_dump()}
    return _from_config(config, Path("the profile's section `model`"))


def _from_config(config: Mapping[str, Any], path: Path) -> Architecture:
    family = _FAMILIES[config["model_type"]]
    rope = _rope(config)
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    kv_heads = int(config.get("num_key_value_heads") or heads)
    if heads % kv_heads:
        raise ValueError(f"num_key_value_heads {kv_heads} does not divide num_attention_heads {heads}")
    implied = hidden // heads if family.implied_head_dim else None
    return Architecture(
        num_layers=int(config["num_hidden_layers"]),
        hidden_size=hidden,
        ffn_hidden_size=int(config["intermediate_size"]),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=int(config.get("head_dim") or implied or config["head_dim"]),
        vocab_size=int(config["vocab_size"]),
        max_positions=int(config["max_position_embeddings"]),
        rope_theta=float(rope["rope_theta"]),
        norm_eps=float(config["rms_norm_eps"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        dtype=_dtype(config),
        qk_norm=family.qk_norm,
        qkv_bias=family.qkv_bias,
        rope_scaling=_rope_scaling(rope),
        source=path,
    )


def _dtype(config: Mapping[str, Any]) -> str:
    return str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary parameters: transformers 5 groups them, transformers 4 kept the base at the top level."""
    rope = {name: config[name] for name in ("rope_theta", "partial_rotary_factor") if name in config}
    for group in ("rope_scaling", "rope_parameters"):
        if isinstance(config.get(group), Mapping):
            rope |= config[group]
    return rope


def _rope_type(rope: Mapping[str, Any]) -> Any:
    return rope.get("rope_type") or rope.get("type") or "default"


def _rope_scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
    if _rope_type(rope) == "default":
        return None
    return RopeScaling(
        factor=float(rope["factor"]),
        low_freq_factor=float(rope["low_freq_factor"]),
        high_freq_factor=float(rope["high_freq_factor"]),
        original_max_positions=int(rope["original_max_position_embeddings"]),
    )


def _refuse_unsupported(config: Mapping[str, Any], path: Path) -> None:
    """Raise WarpsmithError for a model whose weights we would misplace or misuse."""
    rope = _rope(config)
    layer_types = config.get("layer_types") or ["full_attention"]
    fields = [
        ("model_type", config.get("model_type"), SUPPORTED_MODEL_TYPES),
        *((name, config.get(name), values) for name, values in _SUPPORTED_VALUES.items()),
        ("rope_type", _rope_type(rope), _ROPE_TYPES),
        ("partial_rotary_factor", rope.get("partial_rotary_factor"), (None, 1)),
        *(("layer_types", layer_type, ("full_attention",)) for layer_type in layer_types),
        ("dtype", _dtype(config), _DTYPES),
    ]
    for name, value, supported in fields:
        if value not in supported:
            known = " or ".join(str(one) for one in supported if one is not None) or "none"
            raise WarpsmithError(
                f"{path} has {name} {value!r}, which is not supported (only {known}); use a dense Qwen3, "
                "Qwen2.5 or Llama 3 checkpoint"
            )
