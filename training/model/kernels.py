"""RMSNorm and rotary embeddings by fused kernels, where there are any.

On a GPU a transformer layer's small operations are bound by memory: plain PyTorch reads and writes every
activation several times. Three ways to compute the same, chosen by `megatron.fused_kernels`:

* liger: the Triton kernels of Liger-Kernel (2410.10989).
* compile: torch.compile on the plain formulas.
* none: plain PyTorch, the only one on a CPU.

SwiGLU is Megatron's own fused function (torch.compile inside) with the first two, see `training.model.build`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core.transformer.transformer_config import TransformerConfig
from torch import Tensor, nn

from evaluation.errors import WarpsmithError
from training.settings.jobs import FusedKernels

RmsNorm = Callable[[Tensor, Tensor, float], Tensor]
"""From x [..., C], weight [C] and epsilon to x / sqrt(mean(x^2) + epsilon) * weight, or * (1 + weight)."""

Rotate = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From query and key [S, B, heads, D], cosines and sines [S, B or 1, 1, D] to rotated query and key."""


@dataclass(frozen=True)
class Kernels:
    """The functions that one choice of kernels means."""

    rms_norm: RmsNorm
    rotate: Rotate
    fused: bool
    """Whether they are fused kernels; then SwiGLU and the loss use theirs too."""


def open_kernels(choice: FusedKernels, *, zero_centred_norms: bool = False) -> Kernels:
    """The kernels of `choice` on this machine; WarpsmithError if it has not got them.

    With `zero_centred_norms` norms multiply by 1 + weight, in float32, as Gemma does.
    """
    plain = plain_zero_centred_rms_norm if zero_centred_norms else plain_rms_norm
    if not torch.cuda.is_available():
        if choice not in (FusedKernels.AUTO, FusedKernels.NONE):
            raise WarpsmithError(f"megatron.fused_kernels {choice} needs a CUDA GPU; use auto or none")
        return Kernels(plain, plain_rotate, fused=False)
    has_liger = importlib.util.find_spec("liger_kernel") is not None
    if choice is FusedKernels.LIGER and not has_liger:
        raise WarpsmithError(
            "megatron.fused_kernels is liger, but liger-kernel is not installed; install the `gpu` extra, or "
            "use compile"
        )
    if choice is FusedKernels.NONE:
        return Kernels(plain, plain_rotate, fused=False)
    if choice is FusedKernels.COMPILE or not has_liger:
        return Kernels(_compiled(plain), _compiled(plain_rotate), fused=True)
    return Kernels(*_liger(zero_centred_norms), fused=True)


def plain_rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """`RmsNorm` by PyTorch."""
    return F.rms_norm(x, weight.shape, weight, eps)


def plain_zero_centred_rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """`RmsNorm` with 1 + weight by PyTorch; rounded once, at the end."""
    return F.rms_norm(x.float(), weight.shape, 1.0 + weight.float(), eps).type_as(x)


def plain_rotate(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """`Rotate` (RoPE, 2104.09864) by PyTorch: pairs are channels i and i + D / 2."""
    return query * cos + _half_turned(query) * sin, key * cos + _half_turned(key) * sin


def _half_turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def compiled(function: Callable) -> Callable:
    """`function` by torch.compile, which makes a version for every layout that it meets.

    With and without gradients, in two or three shapes each, these are more than PyTorch's limit of eight,
    beyond which it would silently go back to the plain function.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
    return torch.compile(function)


@cache
def _compiled(function: Callable) -> Callable:
    return compiled(function)


@cache
def _liger(zero_centred_norms: bool) -> tuple[RmsNorm, Rotate]:
    from liger_kernel.ops.rms_norm import LigerRMSNormFunction
    from liger_kernel.ops.rope import LigerRopeFunction

    offset, casting = (1.0, "gemma") if zero_centred_norms else (0.0, "llama")

    def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
        # Llama's casting has the mean square in float32, Gemma's everything; gradients are written in place.
        normalised: Tensor = LigerRMSNormFunction.apply(x, weight, eps, offset, casting, True)
        return normalised

    def rotate(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        # The kernel wants [1, heads, N, D] over storage [N, heads, D] and one row of cosines per N.
        positions, sequences = query.shape[:2]
        rows = [table.expand(positions, sequences, 1, -1).reshape(-1, table.size(-1)) for table in (cos, sin)]
        turned = LigerRopeFunction.apply(
            *(x.flatten(0, 1).transpose(0, 1)[None] for x in (query, key)), *rows
        )
        new_query, new_key = (x[0].transpose(0, 1).unflatten(0, (positions, sequences)) for x in turned)
        return new_query, new_key

    return rms_norm, rotate


class RMSNorm(nn.RMSNorm):
    """Megatron's norm module: PyTorch's, computed by a kernel of choice, also under sequence parallelism."""

    def __init__(
        self, config: TransformerConfig, hidden_size: int, eps: float, rms_norm: RmsNorm, **_: Any
    ) -> None:
        super().__init__(hidden_size, eps=eps)
        self._rms_norm = rms_norm
        self._eps = eps
        # With sequence parallelism each rank sees its own positions; Megatron sums these gradients over TP.
        self.weight.sequence_parallel = config.sequence_parallel  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return self._rms_norm(x, self.weight, self._eps)
