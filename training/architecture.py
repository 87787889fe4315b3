"""The shape of a model, read from a Hugging Face `config.json` and checked against what we support."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import WarpsmithError

SUPPORTED_MODEL_TYPES = ("qwen3",)
_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Architecture:
    """A dense Qwen3: RMSNorm, SwiGLU, rotary positions, grouped-query attention, normalised q and k."""

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

    def check_split(self, tensor_parallel: int, pipeline_parallel: int) -> None:
        """Raise WarpsmithError unless the model can be divided over TP x PP processes."""
        for name, count in (
            ("num_attention_heads", self.num_heads),
            ("num_key_value_heads", self.num_kv_heads),
            ("intermediate_size", self.ffn_hidden_size),
            ("vocab_size", self.vocab_size),
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
        return _from_config(config)
    except (KeyError, TypeError, ValueError) as error:
        raise WarpsmithError(
            f"{path} lacks or garbles a field ({error}); download the checkpoint again"
        ) from None


def _from_config(config: Mapping[str, Any]) -> Architecture:
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    if dtype not in _DTYPES:
        raise ValueError(f"dtype {dtype}")
    heads = int(config["num_attention_heads"])
    return Architecture(
        num_layers=int(config["num_hidden_layers"]),
        hidden_size=int(config["hidden_size"]),
        ffn_hidden_size=int(config["intermediate_size"]),
        num_heads=heads,
        num_kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config["head_dim"]),
        vocab_size=int(config["vocab_size"]),
        max_positions=int(config["max_position_embeddings"]),
        rope_theta=float(_rope(config)["rope_theta"]),
        norm_eps=float(config["rms_norm_eps"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        dtype=dtype,
    )


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rotary parameters, which transformers 5 groups and transformers 4 kept at the top level."""
    grouped = config.get("rope_parameters")
    return grouped if isinstance(grouped, Mapping) else config


def _refuse_unsupported(config: Mapping[str, Any], path: Path) -> None:
    """Raise WarpsmithError for an architecture whose weights we would misplace or misuse."""
    scaling = config.get("rope_scaling") or {}
    unsupported = {
        f"model_type {config.get('model_type')!r}": config.get("model_type") not in SUPPORTED_MODEL_TYPES,
        "attention_bias": bool(config.get("attention_bias")),
        "sliding-window attention": bool(config.get("use_sliding_window")),
        f"hidden_act {config.get('hidden_act')!r}": config.get("hidden_act", "silu") != "silu",
        "scaled rotary embeddings": bool(scaling) or _rope(config).get("rope_type", "default") != "default",
        "quantised weights": bool(config.get("quantization_config")),
    }
    for feature, present in unsupported.items():
        if present:
            raise WarpsmithError(
                f"{path} has {feature}, which is not supported; use a dense Qwen3 checkpoint "
                f"(model_type {', '.join(SUPPORTED_MODEL_TYPES)}, no bias, plain rotary embeddings)"
            )
