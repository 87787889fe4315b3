"""Megatron's optimizer, data-parallel wrapper and pipeline schedules behind two calls: `step` and `logprobs`.

Every call takes a whole minibatch, the same on all ranks, and a loss function that returns this micro-batch's
share of the minibatch's loss (see losses.py). Shares are added up, never averaged, so losses and gradients do
not depend on micro-batch size, DP, TP or PP beyond float rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.distributed import (
    DistributedDataParallel,
    DistributedDataParallelConfig,
    finalize_model_grads,
)
from megatron.core.models.gpt import GPTModel
from megatron.core.optimizer import MegatronOptimizer, OptimizerConfig, get_megatron_optimizer
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from megatron.core.pipeline_parallel import get_forward_backward_func
from torch import Tensor

from training.architecture import Architecture
from training.batch import Example, MicroBatch, chunks, collate, divide
from training.config import MegatronSettings, OptimizationSettings
from training.logits import label_logprobs
from training.losses import LossOutput
from training.megatron_cpu import cpu_compat
from training.model import build_model, extra_fields

LossFunction = Callable[[Tensor, MicroBatch], LossOutput]
"""From logits [B, S, V / TP] and their micro-batch to its share of the loss and sums to log."""


class Trainer:
    """A model in training on this rank, its optimizer and its learning-rate schedule."""

    def __init__(
        self,
        architecture: Architecture,
        megatron: MegatronSettings,
        optimization: OptimizationSettings,
        optimizer_steps: int,
    ) -> None:
        """Build everything with arbitrary weights; load some before the first step.

        Args:
            architecture: shape of the model.
            megatron: parallel sizes and types; the process groups must already match.
            optimization: optimizer, schedule and micro-batch size.
            optimizer_steps: length of the schedule.
        """
        dtype = torch.bfloat16 if megatron.bf16 else torch.float32
        self.architecture = architecture
        self.model: GPTModel = build_model(architecture, megatron, dtype)
        self._micro_batch_size = optimization.micro_batch_size
        with cpu_compat():
            self._ddp = _wrap(self.model, megatron)
            self.optimizer = _build_optimizer(self._ddp, megatron, optimization, dtype)
            self.scheduler = _build_scheduler(self.optimizer, optimization, optimizer_steps)
        self._device = next(self.model.parameters()).device

    def weights_changed(self) -> None:
        """Tell the optimizer that the weights were loaded from outside (it may keep float32 copies)."""
        with cpu_compat():
            self.optimizer.reload_model_params()

    def step(self, examples: Sequence[Example], loss_function: LossFunction) -> dict[str, float]:
        """One optimizer step on the minibatch `examples`; collective.

        Returns what the loss function summed up over the minibatch, its loss as `loss`, and `grad_norm`
        (before clipping) and `lr`; the same on all ranks.
        """
        self.model.train()
        with cpu_compat():
            self._ddp.zero_grad_buffer()
            self.optimizer.zero_grad()
            shares = _run(self._ddp, self._mine(examples), partial(_with_loss, loss_function))
            self.scheduler.step(1)
            _, grad_norm, _ = self.optimizer.step()
        sums = _sum_over_ranks(shares)
        return {**sums, "grad_norm": float(grad_norm or 0.0), "lr": self.optimizer.param_groups[0]["lr"]}

    def logprobs(
        self, examples: Sequence[Example], temperature: float, model: GPTModel | None = None
    ) -> list[tuple[float, ...]]:
        """Log-probabilities of every example's response tokens; collective.

        Under the current weights, or under those of another `model` from `build_model`, such as a reference.
        """
        self.model.eval()
        pieces = self._mine(examples)
        with cpu_compat(), torch.no_grad():
            scores = _run(model or self._ddp, pieces, partial(_score, temperature), forward_only=True)
        # Only the last pipeline stage has scores; an empty share was padded with a piece without indices.
        indices = [index for piece in pieces for index in piece.indices] if scores else []
        rows = [row for piece_rows in scores for row in piece_rows]
        mine = dict(zip(indices, rows, strict=False))
        merged = {index: row for part in _gather(mine) for index, row in part.items()}
        return [merged[index] for index in range(len(examples))]

    def _mine(self, examples: Sequence[Example]) -> list[_Piece]:
        """This data-parallel rank's micro-batches; at least one, with nothing to learn if need be."""
        rank = parallel_state.get_data_parallel_rank()
        ranks = parallel_state.get_data_parallel_world_size()
        mine = divide([example.length for example in examples], ranks)[rank]
        if not mine:
            idle = collate(examples[:1], self._device)
            return [_Piece((), replace(idle, mask=torch.zeros_like(idle.mask)))]
        return [
            _Piece(tuple(indices), collate([examples[index] for index in indices], self._device))
            for indices in chunks(mine, self._micro_batch_size)
        ]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A micro-batch and the positions of its sequences in the minibatch."""

    indices: tuple[int, ...]
    batch: MicroBatch


def _run(
    model: torch.nn.Module, pieces: Sequence[_Piece], on_logits: Callable, *, forward_only: bool = False
) -> list[Any]:
    """Drive Megatron's schedule; on the last stage, what `on_logits` gives of each micro-batch."""
    shapes = [piece.batch.inputs.shape for piece in pieces]
    results = get_forward_backward_func()(
        forward_step_func=partial(_forward, on_logits),
        data_iterator=iter(pieces),
        model=model,
        num_microbatches=len(pieces),
        micro_batch_size=max(shape[0] for shape in shapes),
        seq_length=max(shape[1] for shape in shapes),
        forward_only=forward_only,
        collect_non_loss_data=forward_only,
    )
    return list(results)


def _forward(
    on_logits: Callable, pieces: Iterator[_Piece], model: torch.nn.Module
) -> tuple[Tensor, Callable]:
    """Megatron's forward step: this stage's output, and what to do with it if it is logits."""
    batch = next(pieces).batch
    positions = torch.arange(batch.inputs.size(1), device=batch.inputs.device).expand_as(batch.inputs)
    return model(batch.inputs, positions, None), partial(on_logits, batch=batch)


def _with_loss(
    loss_function: LossFunction, logits: Tensor, *, batch: MicroBatch
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Megatron's loss function: loss, a token count that it must not divide by, and what to log."""
    output = loss_function(logits, batch)
    no_tokens = torch.zeros((), dtype=torch.int, device=logits.device)
    # The schedule works on the loss in place, hence the copy in what is logged.
    return output.loss, no_tokens, {**output.metrics, "loss": output.loss.detach().clone()}


def _score(
    temperature: float, logits: Tensor, *, batch: MicroBatch, non_loss_data: bool
) -> list[tuple[float, ...]]:
    """Log-probabilities of the response tokens, by sequence."""
    values = label_logprobs(logits, batch.labels, temperature)[batch.mask].tolist()
    ends = list(accumulate(batch.mask.sum(-1).tolist()))
    return [tuple(values[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _wrap(model: GPTModel, megatron: MegatronSettings) -> DistributedDataParallel:
    """Megatron's data-parallel wrapper: one gradient buffer in float32, summed over the ranks."""
    fields = {
        "use_distributed_optimizer": megatron.use_distributed_optimizer,
        "grad_reduce_in_fp32": True,
        **extra_fields(DistributedDataParallelConfig, megatron),
    }
    ddp = DistributedDataParallel(model.config, DistributedDataParallelConfig(**fields), model)
    model.config.finalize_model_grads_func = _sum_gradients
    return ddp


def _sum_gradients(model: list[torch.nn.Module], _num_tokens: Tensor, **options: Any) -> None:
    """Megatron's reduction over ranks without its division by tokens: the shares are already divided."""
    finalize_model_grads(model, None, **options)


def _build_optimizer(
    ddp: DistributedDataParallel,
    megatron: MegatronSettings,
    optimization: OptimizationSettings,
    dtype: torch.dtype,
) -> MegatronOptimizer:
    """AdamW; the free `megatron:` settings come last and win."""
    fields = {
        "optimizer": "adam",
        "bf16": megatron.bf16,
        "params_dtype": dtype,
        "use_distributed_optimizer": megatron.use_distributed_optimizer,
        **{
            name: getattr(optimization, name)
            for name in ("lr", "min_lr", "weight_decay", "adam_beta1", "adam_beta2", "adam_eps", "clip_grad")
        },
        **extra_fields(OptimizerConfig, megatron),
    }
    optimizer = get_megatron_optimizer(OptimizerConfig(**fields), [ddp])
    ddp.config.grad_scale_func = optimizer.scale_loss
    return optimizer


def _build_scheduler(
    optimizer: MegatronOptimizer, optimization: OptimizationSettings, steps: int
) -> OptimizerParamScheduler:
    """Linear warm-up, constant, linear decay ("WSD"). It is advanced before each optimizer step: the first
    step's rate is lr / warmup_steps, not 0, and the last step's is one decrement above min_lr."""
    decay_steps = round(optimization.decay_fraction * steps)
    return OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=optimization.lr,
        min_lr=optimization.min_lr,
        lr_warmup_steps=min(optimization.warmup_steps, steps),
        lr_decay_steps=steps + 1,
        lr_decay_style="WSD" if decay_steps else "constant",
        wsd_decay_steps=decay_steps,
        lr_wsd_decay_style="linear",
        start_wd=optimization.weight_decay,
        end_wd=optimization.weight_decay,
        wd_incr_steps=0,
        wd_incr_style="constant",
    )


def _sum_over_ranks(shares: list[dict[str, Tensor]]) -> dict[str, float]:
    """Add up what the micro-batches of all data-parallel ranks logged, in float64, on every rank."""
    mine: dict[str, float] = {}
    if parallel_state.get_tensor_model_parallel_rank() == 0:
        for share in shares:
            for name, value in share.items():
                mine[name] = mine.get(name, 0.0) + value.item()
    total: dict[str, float] = {}
    for part in _gather(mine):
        for name, number in part.items():
            total[name] = total.get(name, 0.0) + number
    return total


def _gather(value: Any) -> list[Any]:
    """One object of every rank, on every rank."""
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered
