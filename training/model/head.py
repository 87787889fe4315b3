"""The output layer and the loss together, without ever holding the logits of all tokens.

From hidden states a piece of tokens at a time becomes logits, log-probabilities, a share of the loss and at
once its gradient; of all that only the gradients of the hidden states and of the layer's weights are kept (as
in Liger-Kernel's fused linear cross-entropy, 2410.10989, but for any loss over log-probabilities). A
micro-batch whose logits fit goes through in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel import (
    copy_to_tensor_model_parallel_region,
    gather_from_sequence_parallel_region,
)
from torch import Tensor

from training.model.gpt import GPTBackbone
from training.model.logits import fused_statistics, label_entropy, label_logprobs
from training.model.vocabulary import mask_padding
from training.model.weight_gradients import add_product, product
from training.objective.batch import MicroBatch, Tokens
from training.objective.losses import LossOutput

LossFunction = Callable[[Tensor, Tensor, Tokens], LossOutput]
"""From log-probabilities [N] (with gradient) and entropies [N] of tokens to their share of the loss and sums
to log. Must be a sum over tokens: it is called for a few of them at a time."""
Prepare = Callable[[Tensor, Tokens], Tokens]
"""From log-probabilities [N] (without gradient) of all tokens of some sequences to those tokens with what
their loss needs of whole sequences. It costs a second product with the output layer."""

#: Pieces have a multiple of this many tokens, which suits the tiles of matrix kernels.
_TILE = 128


@dataclass(frozen=True)
class Head:
    """How hidden states become losses and scores."""

    vocab_size: int
    """Tokens without padding."""
    most_logits: int
    """Tokens x this rank's columns that are held at once."""
    fused: bool
    """Whether to use compiled kernels."""

    def loss(
        self,
        model: GPTBackbone,
        hidden: Tensor,
        batch: MicroBatch,
        loss_function: LossFunction,
        temperature: float = 1.0,
        prepare: Prepare | None = None,
    ) -> LossOutput:
        """Share of the loss of the micro-batch whose hidden states [S, B, H] the last stage gave."""
        rows, weight = _whole(model, hidden), model.head_weight()
        tokens = batch.tokens()
        if not self._fits(len(rows), weight):
            rows, tokens = rows.index_select(0, batch.responses), tokens.select(batch.responses)
        if prepare is not None:
            tokens = prepare(self._scores(rows, weight, tokens.labels, temperature), tokens)
        return self._in_pieces(rows, weight, tokens, loss_function, temperature)

    @torch.no_grad()
    def logprobs(self, model: GPTBackbone, hidden: Tensor, batch: MicroBatch, temperature: float) -> Tensor:
        """Log-probabilities of the response tokens, sequence by sequence; float32 [N]."""
        rows, weight = _whole(model, hidden), model.head_weight()
        labels, order = batch.tokens().labels, batch.responses
        whole = self._fits(len(rows), weight)
        if not whole:
            rows, labels = rows.index_select(0, order), labels[order]
        scores = self._scores(rows, weight, labels, temperature)
        return scores[order] if whole else scores

    @torch.no_grad()
    def _scores(self, rows: Tensor, weight: Tensor, labels: Tensor, temperature: float) -> Tensor:
        """Log-probabilities of the labels [N] after hidden states [N, H]."""
        scores = [
            self._statistics(self._logits(rows[piece], weight), labels[piece], temperature)[0]
            for piece in self._pieces(len(rows), weight)
        ]
        return torch.cat(scores)

    def _in_pieces(
        self,
        rows: Tensor,
        weight: Tensor,
        tokens: Tokens,
        loss_function: LossFunction,
        temperature: float,
    ) -> LossOutput:
        """The loss of hidden states [N, H], with its gradients already computed."""
        total = torch.zeros((), device=rows.device)
        metrics: dict[str, Tensor] = {}
        row_gradient = torch.empty_like(rows)
        weight_gradient: Tensor | None = None
        with torch.no_grad():
            for piece in self._pieces(len(rows), weight):
                logits = self._logits(rows[piece], weight).requires_grad_()
                with torch.enable_grad():
                    statistics = self._statistics(logits, tokens.labels[piece], temperature)
                    output = loss_function(*statistics, tokens.select(piece))
                (gradient,) = torch.autograd.grad(output.loss, logits)
                del logits
                row_gradient[piece] = gradient.matmul(weight)
                if not weight.requires_grad:
                    pass  # frozen, under adapters
                elif weight_gradient is None:
                    weight_gradient = product(gradient.t(), rows[piece])
                else:
                    add_product(weight_gradient, gradient.t(), rows[piece])
                total = total + output.loss.detach()
                metrics = {name: metrics.get(name, 0) + value for name, value in output.metrics.items()}
        loss = _WithGradients.apply(rows, weight, total, row_gradient, weight_gradient)
        return LossOutput(loss, metrics)

    def _logits(self, rows: Tensor, weight: Tensor) -> Tensor:
        return mask_padding(rows.detach().matmul(weight.detach().t()), self.vocab_size)

    def _statistics(self, logits: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        if self.fused:
            return fused_statistics(logits, labels, temperature)
        return label_logprobs(logits, labels, temperature), label_entropy(logits, temperature)

    def _fits(self, rows: int, weight: Tensor) -> bool:
        return rows * weight.size(0) <= self.most_logits

    def _pieces(self, rows: int, weight: Tensor) -> Iterator[slice]:
        """Slices of about equal size that fit; at least one, also of nothing."""
        if self._fits(rows, weight):
            return iter([slice(0, rows)])
        most = max(self.most_logits // weight.size(0), 1)
        count = -(-rows // most)
        size = min(-(-rows // count // _TILE) * _TILE if most >= _TILE else most, rows)
        return (slice(start, start + size) for start in range(0, rows, size))


def _whole(model: GPTBackbone, hidden: Tensor) -> Tensor:
    """All hidden states [S * B, H] on every tensor-parallel rank, whose gradients are summed over them."""
    if parallel_state.get_tensor_model_parallel_world_size() > 1:
        if model.config.sequence_parallel:
            hidden = gather_from_sequence_parallel_region(hidden)
        else:
            hidden = copy_to_tensor_model_parallel_region(hidden)
    return hidden.flatten(0, 1)


class _WithGradients(torch.autograd.Function):
    """A loss whose gradients with respect to hidden states and weights are known.

    Megatron's buffer of gradients gets the weights' in float32, unrounded, as other layers' are added there.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        loss: Tensor,
        row_gradient: Tensor,
        weight_gradient: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(row_gradient, weight_gradient)
        ctx.weight = weight
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        row_gradient, weight_gradient = ctx.saved_tensors
        (scale,) = gradients
        if weight_gradient is None:
            return row_gradient.mul_(scale), None, None, None, None
        buffer = getattr(ctx.weight, "main_grad", None)
        weight_gradient.mul_(scale)
        if buffer is None:
            weight_gradient = weight_gradient.to(ctx.weight.dtype)
        else:
            buffer.add_(weight_gradient)
            weight_gradient = torch.zeros_like(ctx.weight)  # Megatron wants to hear that there is one
        return row_gradient.mul_(scale), weight_gradient, None, None, None
