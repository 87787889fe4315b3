"""LoRA (2106.09685): small matrices beside frozen ones, y = W x + (alpha / rank) B A x.

Every Hugging Face layer that is adapted has an A [rank, in] and a B [out, rank] of its own, as PEFT has it.
Megatron fuses some of these layers: there the A's are applied as one matrix, and the B's as one whose rows
are in Megatron's order and which is 0 where a layer's A is not its own (`training.model.fusion`).

Tensor parallelism divides the matrices as it does W, so that only rank-sized activations travel: under a
column-parallel W every process has all of A and its own rows of B, under a row-parallel one its own columns
of A and all of B. Under sequence parallelism what every process has sees that process's positions only;
Megatron sums such gradients. A starts as PEFT's does, uniform within 1 / sqrt(in), and B at 0. There is no
dropout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.models.gpt import GPTModel
from megatron.core.tensor_parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    copy_to_tensor_model_parallel_region,
    gather_from_sequence_parallel_region,
    reduce_from_tensor_model_parallel_region,
    reduce_scatter_to_sequence_parallel_region,
    set_tensor_model_parallel_attributes,
)
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.utils import make_sharded_tensors_for_checkpoint
from torch import Tensor, nn

from training.model.families.base import Weight
from training.model.fusion import join
from training.settings.architecture import Architecture
from training.settings.jobs import MegatronSettings

_ADAPTERS = "adapters"


@dataclass(frozen=True)
class _Plan:
    """Which adapters one of Megatron's linear layers has."""

    architecture: Architecture
    weight: Weight
    """The matrix that they are beside."""
    targets: tuple[str, ...]
    """The layers that are adapted, by their Hugging Face names; some of them are here."""
    rank: int
    scale: float

    @property
    def layers(self) -> list[tuple[str, str]]:
        """Of each Hugging Face layer that is fused here, the name in a transformer layer, and its end."""
        parts = [part.removesuffix(".weight") for part in self.weight.parts]
        return [(part, part.rpartition(".")[2]) for part in parts]

    def rows(self) -> list[int]:
        """Outputs of each of them on one tensor-parallel rank."""
        shapes = self.architecture.weight_shapes()
        ranks = parallel_state.get_tensor_model_parallel_world_size() if self.weight.split == 0 else 1
        return [shapes[f"model.layers.0.{part}"][0] // ranks for part in self.weight.parts]


class Adapter(nn.Module):
    """The two matrices beside one Hugging Face layer, or this rank's share of them."""

    def __init__(self, rank: int, inputs: int, outputs: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.lora_A = nn.Parameter(torch.empty(rank, inputs, dtype=dtype))
        self.lora_B = nn.Parameter(torch.zeros(outputs, rank, dtype=dtype))


class _Adapted:
    """What column- and row-parallel layers with adapters have in common."""

    split_of_a: int | None
    """The dimension of A that is divided over TP ranks."""
    split_of_b: int | None
    """The same of B."""
    # Of Megatron's layer:
    weight: Tensor
    config: Any
    tp_group: Any

    def _add_adapters(self, plan: _Plan, inputs: int) -> None:
        self.plan, self.enabled = plan, True
        self._rows = plan.rows()
        self.adapters = nn.ModuleDict()
        for (_, name), rows in zip(plan.layers, self._rows, strict=True):
            if name not in plan.targets:
                continue
            adapter = Adapter(plan.rank, inputs, rows, self.config.params_dtype)
            for matrix, split in ((adapter.lora_A, self.split_of_a), (adapter.lora_B, self.split_of_b)):
                if split is not None:
                    set_tensor_model_parallel_attributes(matrix, True, split, 1)
                else:
                    matrix.sequence_parallel = self.config.sequence_parallel  # type: ignore[attr-defined]
            self.adapters[name] = adapter

    def adapters_by_part(self) -> Iterator[tuple[str, Adapter]]:
        """The adapters, by the names of their layers within the transformer layer (`self_attn.q_proj`)."""
        for part, name in self.plan.layers:
            if name in self.adapters:
                yield part, self.adapters[name]  # type: ignore[misc]

    def _down(self) -> Tensor:
        """All A's as one matrix [rank * adapters, in]."""
        return torch.cat([adapter.lora_A for _, adapter in self.adapters_by_part()])

    def _up(self) -> Tensor:
        """All B's, scaled, as one matrix [out, rank * adapters] with rows in Megatron's order."""
        rank, width = self.plan.rank, self.plan.rank * len(self.adapters)
        blocks, column = [], 0
        for (_, name), rows in zip(self.plan.layers, self._rows, strict=True):
            if name in self.adapters:
                matrix = self.adapters[name].lora_B
                blocks.append(F.pad(matrix, (column, width - column - rank)))  # type: ignore[arg-type]
                column += rank
            else:
                blocks.append(self.weight.new_zeros(rows, width))
        return join(self.plan.architecture, blocks) * self.plan.scale

    @torch.no_grad()
    def merged(self) -> Tensor:
        """This rank's share of W with the adapters in it, computed in float32."""
        change = self._up().float() @ self._down().float()
        return (self.weight.float() + change).to(self.weight.dtype)

    def _added(self, output: Tensor, low: Tensor) -> Tensor:
        """`output` [S, B, out] plus what the B's make of `low` [S, B, rank * adapters]."""
        rows = torch.addmm(output.flatten(0, 1), low.flatten(0, 1), self._up().t())
        return rows.view_as(output)

    def _sharded(self, state: dict[str, Any], prefix: str, offsets: Any, metadata: Any, weight: int) -> Any:
        split = {"weight": weight}
        for name in self.adapters:
            for matrix, dimension in (("lora_A", self.split_of_a), ("lora_B", self.split_of_b)):
                if dimension is not None:
                    split[f"{_ADAPTERS}.{name}.{matrix}"] = dimension
        if weight == 0:
            split["bias"] = 0
        return make_sharded_tensors_for_checkpoint(
            state, prefix, split, offsets, tp_group=self.tp_group, dp_cp_group=metadata["dp_cp_group"]
        )


class AdaptedColumnLinear(_Adapted, ColumnParallelLinear):
    """Megatron's column-parallel linear layer with adapters."""

    split_of_a, split_of_b = None, 0

    def __init__(self, *args: Any, lora: _Plan, **options: Any) -> None:
        ColumnParallelLinear.__init__(self, *args, **options)
        self._add_adapters(lora, self.input_size)

    def forward(self, input_: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor | None]:
        """From inputs [S, B, in] (this rank's S under sequence parallelism) to outputs [S, B, out / TP]."""
        output, bias = ColumnParallelLinear.forward(self, input_, *args, **options)
        if not self.enabled:
            return output, bias
        low = F.linear(input_, self._down())
        if self.sequence_parallel:
            low = gather_from_sequence_parallel_region(low, group=self.tp_group)
        elif self.allreduce_dgrad:
            low = copy_to_tensor_model_parallel_region(low, group=self.tp_group)
        return self._added(output, low), bias

    def sharded_state_dict(
        self, prefix: str = "", sharded_offsets: Any = (), metadata: Any = None
    ) -> dict[str, Any]:
        """Megatron's, with the adapters."""
        state = self.state_dict(prefix="", keep_vars=True)
        sharded: dict[str, Any] = self._sharded(state, prefix, sharded_offsets, metadata, 0)
        return sharded


class AdaptedRowLinear(_Adapted, RowParallelLinear):
    """Megatron's row-parallel linear layer with adapters."""

    split_of_a, split_of_b = 1, None

    def __init__(self, *args: Any, lora: _Plan, **options: Any) -> None:
        RowParallelLinear.__init__(self, *args, **options)
        self._add_adapters(lora, self.input_size_per_partition)

    def forward(self, input_: Tensor) -> tuple[Tensor, Tensor | None]:
        """From inputs [S, B, in / TP] to outputs [S, B, out] (this rank's S under sequence parallelism)."""
        output, bias = RowParallelLinear.forward(self, input_)
        if not self.enabled:
            return output, bias
        low = F.linear(input_, self._down())
        if self.sequence_parallel:
            low = reduce_scatter_to_sequence_parallel_region(low, group=self.tp_group)
        else:
            low = reduce_from_tensor_model_parallel_region(low, group=self.tp_group)
        return self._added(output, low), bias

    def sharded_state_dict(
        self, prefix: str = "", sharded_offsets: Any = (), metadata: Any = None
    ) -> dict[str, Any]:
        """Megatron's, with the adapters."""
        state = self.state_dict(prefix="", keep_vars=True)
        sharded: dict[str, Any] = self._sharded(state, prefix, sharded_offsets, metadata, 1)
        return sharded


Adapted = AdaptedColumnLinear | AdaptedRowLinear


def adapt(spec: ModuleSpec, architecture: Architecture, settings: MegatronSettings) -> None:
    """Let a layer's linear layers be built with the adapters that `settings` ask for."""
    for weight in architecture.family.layer:
        plan = _Plan(
            architecture,
            weight,
            settings.lora_target,
            settings.lora_rank,
            settings.lora_alpha / settings.lora_rank,
        )
        if weight.split is None or not {name for _, name in plan.layers} & set(plan.targets):
            continue
        room, linear, _ = weight.parameter.split(".")
        module = AdaptedColumnLinear if weight.split == 0 else AdaptedRowLinear
        submodules = getattr(spec.submodules, room).submodules
        setattr(submodules, linear, ModuleSpec(module, params={"lora": plan}))


def freeze_base(model: GPTModel) -> None:
    """Take everything but the adapters out of training: without gradients there are no buffers for them."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = is_adapter(name)


def is_adapter(name: str) -> bool:
    """Whether a parameter or a tensor of a checkpoint is an adapter's."""
    return f".{_ADAPTERS}." in name


@torch.no_grad()
def reset_adapters(model: GPTModel, seed: int) -> None:
    """Draw every A by (seed, layer, target), the same at any TP and PP, and set every B to 0."""
    for layer in model.decoder.layers:
        for linear in adapted_layers(layer):
            for part, adapter in linear.adapters_by_part():
                entropy = [seed, layer.layer_number, *part.encode()]
                adapter.lora_A.copy_(_first_a(adapter.lora_A, linear, entropy))
                adapter.lora_B.zero_()


def _first_a(like: Tensor, linear: Adapted, entropy: Sequence[int]) -> Tensor:
    """This rank's share of an A, drawn whole."""
    bits = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]) >> 1
    generator = torch.Generator().manual_seed(bits)
    bound = 1 / math.sqrt(linear.input_size)
    whole = (2 * torch.rand(like.size(0), linear.input_size, generator=generator) - 1) * bound
    if linear.split_of_a is None:
        return whole
    rank = parallel_state.get_tensor_model_parallel_rank()
    return whole.narrow(1, rank * like.size(1), like.size(1))


def adapted_layers(module: nn.Module) -> list[Adapted]:
    """The linear layers with adapters in a module."""
    return [child for child in module.modules() if isinstance(child, _Adapted)]  # type: ignore[misc]


def adapted_weights(model: nn.Module) -> dict[str, Adapted]:
    """The same by the full names of their matrices."""
    return {
        f"{name}.weight": child  # type: ignore[misc]
        for name, child in model.named_modules()
        if isinstance(child, _Adapted)
    }


@torch.no_grad()
def merge(model: nn.Module) -> None:
    """Move what the adapters have learnt into the frozen weights, and set every B to 0."""
    for linear in adapted_layers(model):
        linear.weight.copy_(linear.merged())
        for _, adapter in linear.adapters_by_part():
            adapter.lora_B.zero_()


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """Within it the model computes as if it had no adapters."""
    linears = adapted_layers(model)
    for linear in linears:
        linear.enabled = False
    try:
        yield
    finally:
        for linear in linears:
            linear.enabled = True
