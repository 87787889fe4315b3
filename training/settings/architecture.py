"""The shape of a model, read from a Hugging Face `config.json` and checked against what we support.

Families of dense decoders differ in a few things only, which `training.model.families` states. Anything that
we would compute differently from transformers is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import WarpsmithError
from training.model.families.base import EMBEDDING, FINAL_NORM, HEAD, Family, Sliding, Weight
from training.model.families.config_fields import Fields
from training.model.families.known import FAMILIES, NAMES
from training.model.families.qwen3 import QWEN3
from training.model.families.rope import RopeScaling

if TYPE_CHECKING:
    from training.settings.jobs import ModelSettings

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Architecture:
    """A dense decoder: RMSNorm, a gated feed-forward layer, rotary positions, grouped-query attention."""

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
    family: Family = QWEN3
    """What its layers are made of."""
    rope_scaling: RopeScaling | None = None
    """How rotary frequencies are stretched; none leaves them as `rope_theta` gives them."""
    softmax_scale: float | None = None
    """What attention's scores are multiplied by; none is 1 / sqrt(head_dim)."""
    sliding: Sliding | None = None
    """The layers that see the last tokens only; none if all see all."""
    source: Path = field(default=Path("config.json"), compare=False)
    """The file it was read from, for messages."""

    @property
    def windows(self) -> tuple[int | None, ...]:
        """For each layer how many tokens it sees, the own one included; None is all."""
        if self.sliding is None:
            return (None,) * self.num_layers
        return tuple(self.sliding.window if local else None for local in self.sliding.layers)

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
        layer = self._shapes(*self.family.layer)
        shapes = self._shapes(EMBEDDING)
        for index in range(self.num_layers):
            shapes |= {f"model.layers.{index}.{name}": shape for name, shape in layer.items()}
        return shapes | self._shapes(*((FINAL_NORM,) if self.tied else (FINAL_NORM, HEAD)))

    def _shapes(self, *weights: Weight) -> dict[str, tuple[int, ...]]:
        """Name and shape of the Hugging Face tensors that `weights` are made of."""
        sizes = {
            "vocabulary": self.vocab_size,
            "hidden": self.hidden_size,
            "ffn": self.ffn_hidden_size,
            "head": self.head_dim,
            "queries": self.num_heads * self.head_dim,
            "keys": self.num_kv_heads * self.head_dim,
        }
        parts = (part for weight in weights for part in weight.parts.items())
        return {name: tuple(sizes[size] for size in shape) for name, shape in parts}


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


def _from_config(config: Mapping[str, Any], path: Path) -> Architecture:
    family = FAMILIES[config["model_type"]]
    fields = Fields(config, path)
    heads, hidden = fields.integer("num_attention_heads"), fields.integer("hidden_size")
    kv_heads = fields.integer("num_key_value_heads", heads)
    if heads % kv_heads:
        raise fields.wrong("num_key_value_heads", f"does not divide num_attention_heads {heads}")
    head_dim = fields.integer("head_dim", hidden // heads if family.implied_head_dim else None)
    if head_dim % 2:
        raise fields.wrong("head_dim", "is odd, but rotary embeddings turn pairs of channels")
    rope = family.rope(config, path)
    return Architecture(
        num_layers=fields.integer("num_hidden_layers"),
        hidden_size=hidden,
        ffn_hidden_size=fields.integer("intermediate_size"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        vocab_size=fields.integer("vocab_size"),
        max_positions=fields.integer("max_position_embeddings"),
        rope_theta=rope.theta,
        norm_eps=fields.number("rms_norm_eps"),
        tied=fields.flag("tie_word_embeddings", family.tied_by_default),
        dtype=_dtype(config),
        family=family,
        rope_scaling=rope.scaling,
        softmax_scale=family.softmax_scale(config, path),
        sliding=family.sliding(config, path),
        source=path,
    )


def _dtype(config: Mapping[str, Any]) -> str:
    return str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")


def _refuse_unsupported(config: Mapping[str, Any], path: Path) -> None:
    """Raise WarpsmithError for a model whose weights we would misplace or misuse."""
    family = FAMILIES.get(str(config.get("model_type")))
    checks = [("model_type", config.get("model_type"), tuple(FAMILIES))]
    if family:
        checks += [*family.checks(config, path), ("dtype", _dtype(config), _DTYPES)]
    for name, value, supported in checks:
        if value not in supported:
            known = " or ".join(str(one) for one in supported if one is not None) or "none"
            raise WarpsmithError(
                f"{path} has {name} {value!r:.80}, which is not supported (only {known}); use a dense "
                f"{NAMES} checkpoint"
            )
    fields = Fields(config, path)
    layer_types = fields.texts("layer_types")
    if layer_types and len(layer_types) != fields.integer("num_hidden_layers"):
        raise fields.wrong("layer_types", f"does not name {config['num_hidden_layers']} layers")
