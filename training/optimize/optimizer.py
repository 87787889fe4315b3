"""AdamW, its learning-rate schedule and its step, all Megatron's but for what is slow without Apex.

Without Apex and Transformer Engine Megatron falls back to PyTorch's AdamW, and to a gradient norm and
clipping that wait for the GPU once per parameter. On a GPU the step here computes the norm in a few kernels,
hands the clipping to PyTorch's fused AdamW, which divides gradients as it reads them, and waits for nothing.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from megatron.core.distributed import DistributedDataParallel
from megatron.core.optimizer import MegatronOptimizer, OptimizerConfig, get_megatron_optimizer
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from torch import Tensor

from training.model.build import extra_fields, megatron_refusals
from training.settings.jobs import MegatronSettings
from training.settings.optimization import LrDecayStyle, OptimizationSettings

_SHARED_FIELDS = ("lr", "min_lr", "weight_decay", "adam_beta1", "adam_beta2", "adam_eps", "clip_grad")


def build_optimizer(
    ddp: DistributedDataParallel,
    megatron: MegatronSettings,
    optimization: OptimizationSettings,
    dtype: torch.dtype,
) -> MegatronOptimizer:
    """AdamW for the wrapped model, fused on a GPU; the free `megatron:` settings come last and win."""
    fields = {
        "optimizer": "adam",
        "bf16": megatron.bf16,
        "params_dtype": dtype,
        "use_distributed_optimizer": megatron.use_distributed_optimizer,
        **{name: getattr(optimization, name) for name in _SHARED_FIELDS},
        **extra_fields(OptimizerConfig, megatron),
    }
    with megatron_refusals():
        optimizer = get_megatron_optimizer(OptimizerConfig(**fields), [ddp])
    for part in _parts(optimizer):
        if isinstance(part, DistributedOptimizer):
            part.__class__ = _ShardedAdamW  # Megatron's factory takes no class
    ddp.config.grad_scale_func = optimizer.scale_loss
    if torch.cuda.is_available():
        fuse(optimizer)
    return optimizer


def build_scheduler(
    optimizer: MegatronOptimizer, optimization: OptimizationSettings, steps: int
) -> OptimizerParamScheduler:
    """Linear warm-up, constant, then decay by a line or a half cosine ("WSD"), which begins after the
    warm-up.

    It is advanced before each optimizer step: the first step's rate is lr / warmup_steps, not 0, and the last
    step's is one decrement above min_lr.
    """
    warmup_steps = min(optimization.warmup_steps, steps)
    decay_steps = min(round(optimization.decay_fraction * steps), steps - warmup_steps)
    return OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=optimization.lr,
        min_lr=optimization.min_lr,
        lr_warmup_steps=warmup_steps,
        lr_decay_steps=steps + 1,
        lr_decay_style="WSD" if decay_steps else "constant",
        wsd_decay_steps=decay_steps,
        lr_wsd_decay_style=LrDecayStyle(optimization.lr_decay_style).value,
        start_wd=optimization.weight_decay,
        end_wd=optimization.weight_decay,
        wd_incr_steps=0,
        wd_incr_style="constant",
    )


def fuse(optimizer: MegatronOptimizer) -> None:
    """Let PyTorch's AdamW update all parameters in one kernel, without temporaries of their size."""
    for part in _parts(optimizer):
        for group in part.optimizer.param_groups:
            if "foreach" in group:  # PyTorch's; Apex's and Transformer Engine's are fused
                group.update(fused=True, foreach=False)


@torch.no_grad()
def sharded_state(
    optimizer: MegatronOptimizer, model_state: dict[str, Any], *, is_loading: bool
) -> dict[str, Any]:
    """The optimizer's state as Megatron's checkpoints take it, given the model's; collective.

    A distributed optimizer's is written whole, so that it loads at any TP, PP and DP.
    """
    options = {}
    for part in _parts(optimizer):
        if isinstance(part, DistributedOptimizer):
            options = {"metadata": {"distrib_optim_sharding_type": "fully_reshardable"}}
            if is_loading and not part.optimizer.state:
                part._init_optimizer_states_with_dummy_values()
    state: dict[str, Any] = optimizer.sharded_state_dict(model_state, is_loading=is_loading, **options)
    return state


class _ShardedAdamW(DistributedOptimizer):
    """Megatron's distributed optimizer around PyTorch's AdamW, which keeps a step per parameter.

    Without Apex and Transformer Engine Megatron restores one step, shared by all parameters, and then misses
    it among the tensors of a checkpoint.
    """

    def _set_main_param_and_optimizer_states(self, model_param: Tensor, tensors: dict[str, Tensor]) -> None:
        group, index = self.model_param_group_index_map[model_param]
        state = self.optimizer.state[self.optimizer.param_groups[group]["params"][index]]
        if "step" in state:
            state["step"] = state["step"].clone()
            tensors = {"step": state["step"], **tensors}
        super()._set_main_param_and_optimizer_states(model_param, tensors)


@torch.no_grad()
def take_step(optimizer: MegatronOptimizer) -> Tensor | float:
    """Update the weights from the gradients in the buffers; collective. Returns their norm before
    clipping."""
    parts = _parts(optimizer)
    if not all(group.get("fused") for part in parts for group in part.optimizer.param_groups):
        _, norm, _ = optimizer.step()
        return float(norm or 0.0)
    if optimizer.prepare_grads():  # only float16's loss scale finds such steps; they are left out
        return float("inf")
    total = _gradient_norm(parts)
    for part in parts:
        part.optimizer.grad_scale = _divisor(total, part.config.clip_grad)
    optimizer.step_with_ready_grads()
    return total


def _parts(optimizer: MegatronOptimizer) -> list[MegatronOptimizer]:
    """Megatron's optimizers that really hold parameters."""
    parts = getattr(optimizer, "chained_optimizers", [optimizer])
    return [part for part in parts if part.optimizer is not None]


def _gradient_norm(parts: list[MegatronOptimizer]) -> Tensor:
    """Norm of all gradients, each counted once, over all ranks; a scalar on the GPU."""
    total = torch.zeros((), device=torch.cuda.current_device())
    for part in parts:
        gradients = part.get_main_grads_for_grad_norm()
        squares = total.new_zeros(())
        if gradients:
            squares = torch.stack(torch._foreach_norm(gradients)).square().sum()
        dist.all_reduce(squares, group=part.get_grad_stats_parallel_group())
        total = total + squares
    return total.sqrt()


def _divisor(norm: Tensor, clip_grad: float) -> Tensor | None:
    """What gradients are divided by so that their norm is at most `clip_grad`; none if that is 0."""
    return None if clip_grad <= 0 else ((norm + 1e-6) / clip_grad).clamp(min=1.0)
