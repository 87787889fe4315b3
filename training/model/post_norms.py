"""The norms after attention and after the feed-forward layer, which Megatron's layers have not got.

Megatron-core 0.16 normalises before each of the two only, and then adds the output to the residual stream by
a function that it takes from the layer's specification: here one that normalises first. What else Megatron
lacks for Gemma 3 is in parts of ours that all families use: a window and a rotary base by layer (in
attention.py and gpt.py), norms by 1 + w (kernels.py) and the scale of embeddings (gpt.py).
"""

from __future__ import annotations

from collections.abc import Callable

from megatron.core.transformer.spec_utils import ModuleSpec, build_module
from megatron.core.transformer.transformer_config import TransformerConfig
from torch import Tensor, nn


class NormalisedAdd(nn.Module):
    """In place of Megatron's "bias, dropout, add", for layers without biases and dropout.

    Outputs are whole on every tensor-parallel rank, or this rank's positions under sequence parallelism.
    """

    def __init__(self, config: TransformerConfig, norm: ModuleSpec) -> None:
        super().__init__()
        self.norm = build_module(
            norm, config=config, hidden_size=config.hidden_size, eps=config.layernorm_epsilon
        )

    def forward(
        self, training: bool, fused: bool
    ) -> Callable[[tuple[Tensor, Tensor | None], Tensor, float], Tensor]:
        """What adds an output [S, B, H] with its bias to a residual; the arguments are Megatron's."""
        return self._add

    def _add(
        self, output_with_bias: tuple[Tensor, Tensor | None], residual: Tensor, dropout: float
    ) -> Tensor:
        output, _ = output_with_bias
        added: Tensor = residual + self.norm(output)
        return added
