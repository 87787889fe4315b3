"""Megatron's optimizer, data-parallel wrapper and pipeline schedules behind two calls: `step` and `logprobs`.

Every call takes a whole minibatch, the same on all ranks, and a loss function that returns the share of the
minibatch's loss of some of its tokens (see losses.py, head.py). Shares are added up, never averaged, so
losses and gradients do not depend on micro-batches, packing, DP, TP or PP beyond float rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from math import isfinite
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.distributed import (
    DistributedDataParallel,
    DistributedDataParallelConfig,
    finalize_model_grads,
)
from megatron.core.pipeline_parallel import get_forward_backward_func
from numpy.typing import NDArray
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.model.build import build_model, extra_fields, megatron_refusals
from training.model.gpt import GPTBackbone
from training.model.head import Head, LossFunction, Prepare
from training.model.kernels import open_kernels
from training.model.lora import reset_adapters, without_adapters
from training.model.megatron_cpu import cpu_compat
from training.objective.batch import Example, MicroBatch, collate, pack
from training.objective.losses import LossOutput
from training.optimize.balance import balance, chunks, deal, fill, sequence_cost
from training.optimize.optimizer import build_optimizer, build_scheduler, take_step
from training.optimize.speed import peak_rate, training_flops
from training.settings.architecture import Architecture
from training.settings.jobs import MegatronSettings
from training.settings.optimization import OptimizationSettings
from training.settings.sizes import attended_width, product_weights


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
            megatron: parallel sizes, types and micro-batches; the process groups must already match.
            optimization: optimizer, schedule and micro-batch size.
            optimizer_steps: length of the schedule.
        """
        dtype = torch.bfloat16 if megatron.bf16 else torch.float32
        self.architecture = architecture
        self.model: GPTBackbone = build_model(architecture, megatron, dtype)
        fused = open_kernels(megatron.fused_kernels).fused
        self.peak_rate = peak_rate(dtype)
        """FLOP/s of this process's device at best."""
        self.has_adapters = megatron.lora_rank > 0
        if self.has_adapters:
            reset_adapters(self.model, optimization.seed)
        self._head = Head(architecture.vocab_size, megatron.max_logits, fused)
        self._megatron = megatron
        self._micro_batch_size = optimization.micro_batch_size
        with cpu_compat():
            self._ddp = _wrap(self.model, megatron)
            self.optimizer = build_optimizer(self._ddp, megatron, optimization, dtype)
            self.scheduler = build_scheduler(self.optimizer, optimization, optimizer_steps)
        self._device = next(self.model.parameters()).device

    def weights_changed(self) -> None:
        """Tell the optimizer that the weights were loaded from outside (it may keep float32 copies)."""
        with cpu_compat():
            self.optimizer.reload_model_params()

    def step(
        self,
        examples: Sequence[Example],
        loss_function: LossFunction,
        temperature: float = 1.0,
        prepare: Prepare | None = None,
    ) -> dict[str, float]:
        """One optimizer step on the minibatch `examples`; collective.

        `temperature` divides the logits; `prepare` tells the loss of whole sequences. Returns what the loss
        function summed up over the minibatch, its loss as `loss`, and `grad_norm` (before clipping), `lr` and
        `flops`; the same on all ranks. Raises WarpsmithError if loss or gradients are not finite: the weights
        are lost then.
        """

        def loss(hidden: Tensor, batch: MicroBatch) -> LossOutput:
            return self._head.loss(self.model, hidden, batch, loss_function, temperature, prepare)

        self.model.train()
        with cpu_compat():
            self._ddp.zero_grad_buffer()
            self.optimizer.zero_grad()
            shares = _run(self._ddp, self._mine(examples), partial(_with_loss, loss))
            self.scheduler.step(1)
            grad_norm = take_step(self.optimizer)
        report = {**_sum_over_ranks(shares), "grad_norm": float(grad_norm)}
        _require_finite(report, self.scheduler.num_steps)
        flops = training_flops(self.architecture, self._megatron, [example.length for example in examples])
        return {**report, "lr": self.optimizer.param_groups[0]["lr"], "flops": flops}

    def skip_to(self, optimizer_step: int) -> None:
        """Let the next step be that number of the schedule, counted from 0, whether or not all were taken."""
        self.scheduler.step(optimizer_step - self.scheduler.num_steps)

    def logprobs(
        self, examples: Sequence[Example], temperature: float, model: GPTBackbone | None = None
    ) -> list[NDArray[np.float32]]:
        """Log-probabilities of every example's response tokens, float32; collective.

        Under the current weights, or under those of another `model` from `build_model`, such as a reference.
        """
        scored = model or self.model

        def score(hidden: Tensor, batch: MicroBatch, *, non_loss_data: bool) -> Tensor:
            return self._head.logprobs(scored, hidden, batch, temperature)

        self.model.eval()
        pieces = self._mine(examples)
        with cpu_compat(), torch.no_grad():
            scores = _run(model or self._ddp, pieces, score, forward_only=True)
        # There are none before the last stage; all ranks of a tensor-parallel group have the same.
        sends = scores and parallel_state.get_tensor_model_parallel_rank() == 0
        mine = _rows(pieces, torch.cat(scores).cpu().numpy()) if sends else {}
        merged = {index: row for part in _gather(mine) for index, row in part.items()}
        return [merged[index] for index in range(len(examples))]

    def base_logprobs(self, examples: Sequence[Example], temperature: float) -> list[NDArray[np.float32]]:
        """`logprobs` of the model as it was before it was trained, without its adapters."""
        with without_adapters(self.model):
            return self.logprobs(examples, temperature)

    def _mine(self, examples: Sequence[Example]) -> list[_Piece]:
        """This data-parallel rank's micro-batches; at least one, with nothing to learn if need be."""
        lay_out = partial(
            pack if self._megatron.use_dynamic_batch_size else collate,
            device=self._device,
            multiple_of=self._megatron.tensor_model_parallel_size if self._megatron.sequence_parallel else 1,
        )
        parts = self._divide(examples)
        if not parts:
            idle = lay_out(examples[:1])
            return [_Piece((), replace(idle, mask=torch.zeros_like(idle.mask)))]
        return [_Piece(tuple(part), lay_out([examples[index] for index in part])) for part in parts]

    def _divide(self, examples: Sequence[Example]) -> list[Sequence[int]]:
        """Indices of this data-parallel rank's examples by micro-batch."""
        rank = parallel_state.get_data_parallel_rank()
        ranks = parallel_state.get_data_parallel_world_size()
        lengths = [example.length for example in examples]
        if not self._megatron.use_dynamic_batch_size:
            return chunks(deal(lengths, ranks)[rank], self._micro_batch_size)
        linear = product_weights(self.architecture) / attended_width(self.architecture)
        mine = balance([sequence_cost(length, linear) for length in lengths], ranks)[rank]
        # Of each sequence all tokens but the last are read.
        return list(fill(mine, [length - 1 for length in lengths], self._megatron.max_tokens_per_gpu))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A micro-batch and the positions of its sequences in the minibatch."""

    indices: tuple[int, ...]
    batch: MicroBatch


def _run(
    model: torch.nn.Module, pieces: Sequence[_Piece], on_hidden: Callable, *, forward_only: bool = False
) -> list[Any]:
    """Drive Megatron's schedule; on the last stage, what `on_hidden` gives of each micro-batch."""
    shapes = [piece.batch.inputs.shape for piece in pieces]
    results = get_forward_backward_func()(
        forward_step_func=partial(_forward, on_hidden),
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
    on_hidden: Callable, pieces: Iterator[_Piece], model: torch.nn.Module
) -> tuple[Tensor, Callable]:
    """Megatron's forward step: this stage's hidden states, and what to do with them if it is the last."""
    batch = next(pieces).batch
    return model(batch), partial(on_hidden, batch=batch)


def _with_loss(
    loss: Callable[[Tensor, MicroBatch], LossOutput], hidden: Tensor, *, batch: MicroBatch
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Megatron's loss function: loss, a token count that it must not divide by, and what to log."""
    output = loss(hidden, batch)
    no_tokens = torch.zeros((), dtype=torch.int, device=hidden.device)
    # The schedule works on the loss in place, hence the copy in what is logged.
    return output.loss, no_tokens, {**output.metrics, "loss": output.loss.detach().clone()}


def _rows(pieces: Sequence[_Piece], values: NDArray[np.float32]) -> dict[int, NDArray[np.float32]]:
    """The values of response tokens by the positions of their sequences in the minibatch."""
    # The piece of a rank without work has a sequence but no index.
    owners = [index for piece in pieces for index in piece.indices]
    lengths = [length for piece in pieces for length in piece.batch.lengths]
    spans = pairwise([0, *accumulate(lengths)])
    return {index: values[start:end] for index, (start, end) in zip(owners, spans, strict=False)}


def _wrap(model: GPTBackbone, megatron: MegatronSettings) -> DistributedDataParallel:
    """Megatron's data-parallel wrapper: one gradient buffer in float32, summed over the ranks."""
    fields = {
        "use_distributed_optimizer": megatron.use_distributed_optimizer,
        "grad_reduce_in_fp32": True,
        **extra_fields(DistributedDataParallelConfig, megatron),
    }
    with megatron_refusals():
        ddp = DistributedDataParallel(model.config, DistributedDataParallelConfig(**fields), model)
    if ddp.ddp_config.overlap_grad_reduce:  # gradients travel after the last micro-batch only
        model.config.no_sync_func = ddp.no_sync
    model.config.finalize_model_grads_func = _sum_gradients
    return ddp


def _sum_gradients(model: list[torch.nn.Module], _num_tokens: Tensor, **options: Any) -> None:
    """Megatron's reduction over ranks without its division by tokens: the shares are already divided."""
    finalize_model_grads(model, None, **options)


def _require_finite(report: dict[str, float], step: int) -> None:
    """Raise WarpsmithError, on all ranks alike, for a step that has spoilt the weights."""
    for name, what in (("loss", "loss"), ("grad_norm", "gradient norm")):
        if not isfinite(report[name]):
            raise WarpsmithError(
                f"training has diverged: the {what} of optimizer step {step} is {report[name]}; lower the "
                "learning rate (`lr`), raise `warmup_steps`, or begin with other weights if it is the first "
                "step; the last checkpoint is from before"
            )


def _sum_over_ranks(shares: list[dict[str, Tensor]]) -> dict[str, float]:
    """Add up what the micro-batches of all data-parallel ranks logged, in float64, on every rank."""
    mine: dict[str, float] = {}
    if shares and parallel_state.get_tensor_model_parallel_rank() == 0:
        names = list(shares[0])
        rows = torch.stack([torch.stack([share[name] for name in names]) for share in shares]).tolist()
        mine = {name: sum(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
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
