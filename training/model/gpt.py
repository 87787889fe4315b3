"""Megatron's GPTModel without its output layer's forward pass: it ends with hidden states.

Logits of all tokens over a vocabulary of 150 000 would be the largest tensor of a training step; head.py
computes them piece by piece, together with the loss.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from megatron.core.models.gpt import GPTModel
from torch import Tensor

from training.model.attention import packed_parameters
from training.model.rotary import inverse_frequencies, sliding_frequencies
from training.objective.batch import MicroBatch
from training.settings.architecture import Architecture

_ANGLES_STEP = 1024


class GPTBackbone(GPTModel):
    """A rank's part of the model, from token ids (or the last stage's output) to hidden states."""

    def __init__(self, *args: Any, architecture: Architecture, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rotary_pos_emb.inv_freq = inverse_frequencies(architecture).cuda()
        self._rotaries = [self.rotary_pos_emb]
        sliding = sliding_frequencies(architecture)
        if sliding is not None:  # Megatron has one base for all layers
            self._rotaries.append(copy.copy(self.rotary_pos_emb))
            self._rotaries[1].inv_freq = sliding.cuda()
        scale = architecture.hidden_size**0.5 if architecture.family.scaled_embedding else 1.0
        self._embedding_scale = torch.tensor(scale).to(self.config.params_dtype).item()

    def forward(self, batch: MicroBatch) -> Tensor:  # type: ignore[override]
        """Hidden states [S, B, H] (a TP rank's share of S under sequence parallelism) of a micro-batch."""
        packing = batch.packing
        hidden: Tensor = self.decoder(
            hidden_states=self._embedded(batch) if self.pre_process else None,
            attention_mask=None,
            rotary_pos_emb=self._rotary(batch),
            packed_seq_params=None if packing is None else packed_parameters(packing),
        )
        return hidden

    def head_weight(self) -> Tensor:
        """The output layer's matrix [V / TP, H], on the last pipeline stage."""
        if self.share_embeddings_and_output_weights:
            shared: Tensor = self.shared_embedding_or_output_weight()
            return shared
        weight: Tensor = self.output_layer.weight
        return weight

    def _embedded(self, batch: MicroBatch) -> Any:
        embedded = self.embedding(input_ids=batch.inputs, position_ids=None)
        if self._embedding_scale != 1:
            embedded = embedded * self._embedding_scale
        if self.training and not embedded.requires_grad:
            # Recomputation sees gradients only through its input, which a frozen embedding has none of.
            embedded = embedded.detach().requires_grad_()
        return embedded

    def _rotary(self, batch: MicroBatch) -> Tensor:
        """Cosines and sines [N, 2, S, 1, 1, D] of the tokens' positions, in the type of the weights.

        N is 1, or 2 where layers with a sliding window have a rotary base of their own.
        """
        packing = batch.packing
        longest = batch.inputs.size(1) if packing is None else packing.longest
        # Megatron keeps the angles of the last 32 lengths: of whole steps, there are few.
        steps = -(-longest // _ANGLES_STEP) * _ANGLES_STEP
        index = slice(longest) if packing is None else packing.positions
        angles = torch.stack([rotary(steps)[index] for rotary in self._rotaries])
        return torch.stack((angles.cos(), angles.sin()), dim=1).to(self.config.params_dtype)
