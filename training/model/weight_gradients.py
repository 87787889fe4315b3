"""Weight gradients in float32 straight from the matrix product, without a bfloat16 copy in between.

A gradient of a bfloat16 weight is the product of two bfloat16 matrices that is added to a float32 buffer.
Computed first and added afterwards it is rounded once more, and read and written once more than needed: on
an H200 a twentieth of a training step. cuBLAS adds the product to what is in the buffer as it computes it.

Megatron can do that too (`gradient_accumulation_fusion`), but calls an extension module of Apex, which few
machines have. `offer_to_megatron` puts PyTorch's own call in its place.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from megatron.core.tensor_parallel import layers
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """left [N, K] times right [K, M] in float32 [N, M]."""
    if left.is_cuda:
        return torch.mm(left, right, out_dtype=torch.float32)
    return left.matmul(right).float()


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left [N, K] times right [K, M] to `total` [N, M], in the type of `total`."""
    if left.is_cuda:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total.add_(left.matmul(right))


def offer_to_megatron() -> None:
    """Let Megatron's linear layers add their weights' gradients to the gradient buffers by `add_product`."""
    if not layers._grad_accum_fusion_available:
        layers.fused_weight_gradient_mlp_cuda = SimpleNamespace(
            wgrad_gemm_accum_fp32=_accumulate, wgrad_gemm_accum_fp16=_accumulate
        )
        layers._grad_accum_fusion_available = True


def _accumulate(inputs: Tensor, output_gradient: Tensor, total: Tensor) -> None:
    """Megatron's call: inputs [tokens, in], gradients of the outputs [tokens, out], total [out, in]."""
    add_product(total, output_gradient.t(), inputs)
