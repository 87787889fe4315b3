"""How large a model is, and what is trained of it, by arithmetic on its shapes."""

from __future__ import annotations

from math import prod

from training.settings.architecture import Architecture
from training.settings.jobs import MegatronSettings


def product_weights(architecture: Architecture) -> int:
    """Weights that a token is multiplied by: all matrices of the layers, and the output layer."""
    shapes = architecture.weight_shapes()
    layers = sum(prod(shape) for name, shape in shapes.items() if ".layers." in name and len(shape) > 1)
    return layers + architecture.vocab_size * architecture.hidden_size


def adapter_weights(architecture: Architecture, megatron: MegatronSettings) -> int:
    """Parameters of the adapters that the settings ask for, all processes' together."""
    return megatron.lora_rank * sum(
        sum(shape)
        for name, shape in architecture.weight_shapes().items()
        if name.removesuffix(".weight").rpartition(".")[2] in megatron.lora_target
    )


def attended_width(architecture: Architecture) -> int:
    """Channels of all layers' queries, which meet every position that is attended to."""
    return architecture.num_layers * architecture.num_heads * architecture.head_dim
