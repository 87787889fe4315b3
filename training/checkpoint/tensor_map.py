"""Where each Hugging Face tensor lies in Megatron's model, block by block.

Names are the families' (`training.model.families`); what Megatron fuses is in `training.model.fusion`.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.model.families.base import EMBEDDING, FINAL_NORM, HEAD, Weight
from training.settings.architecture import Architecture

VOCABULARY = (EMBEDDING, HEAD)  #: what has a row for every token, and rows of padding after them


def hf_layer_name(index: int, part: str) -> str:
    """Hugging Face name of a tensor of layer `index`, counted from 0."""
    return f"model.layers.{index}.{part}"


@dataclass(frozen=True)
class Block:
    """Neighbouring tensors of a model, such as those of one layer: what is converted at a time."""

    layer: int | None
    """The layer, counted from 0; none for what lies before and after the layers."""
    weights: tuple[Weight, ...]
    """Its tensors."""

    def hf_name(self, part: str) -> str:
        """Full Hugging Face name of a part of one of them."""
        return part if self.layer is None else hf_layer_name(self.layer, part)


def blocks(architecture: Architecture) -> list[Block]:
    """All tensors of a model, from the embedding to the output layer."""
    layers = [Block(index, architecture.family.layer) for index in range(architecture.num_layers)]
    last = (FINAL_NORM,) if architecture.tied else (FINAL_NORM, HEAD)
    return [Block(None, (EMBEDDING,)), *layers, Block(None, last)]
