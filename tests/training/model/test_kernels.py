"""Plain kernels against transformers', and the choice of kernels on a machine without a GPU."""

import pytest
import torch
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm, apply_rotary_pos_emb

from evaluation.errors import WarpsmithError
from training.model.kernels import (
    open_kernels,
    plain_rms_norm,
    plain_rotate,
    plain_zero_centred_rms_norm,
)
from training.settings.jobs import FusedKernels

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")


def test_norms_are_transformers():
    x, weight = torch.randn(5, 3, 8), torch.randn(8)
    norm = Qwen3RMSNorm(8, eps=1e-6)
    norm.weight.data.copy_(weight)
    torch.testing.assert_close(plain_rms_norm(x, weight, 1e-6), norm(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_zero_centred_norms_are_gemmas(dtype):
    """Rounded once, after the weight: the other order differs by a unit in the last place of bfloat16."""
    x, weight = torch.randn(50, 3, 8).to(dtype), torch.randn(8).to(dtype)
    norm = Gemma3RMSNorm(8, eps=1e-6)
    norm.weight.data = weight
    exact = {"rtol": 0.0, "atol": 0.0} if dtype is torch.bfloat16 else {}
    torch.testing.assert_close(plain_zero_centred_rms_norm(x, weight, 1e-6), norm(x), **exact)


def test_rotations_are_transformers():
    query, key = torch.randn(5, 3, 4, 8), torch.randn(5, 3, 2, 8)
    angles = torch.randn(5, 4).repeat(1, 2)
    heads_first = (x.permute(1, 2, 0, 3) for x in (query, key))
    expected = apply_rotary_pos_emb(*heads_first, angles.cos()[None], angles.sin()[None])
    tables = (table[:, None, None] for table in (angles.cos(), angles.sin()))
    for got, wanted in zip(plain_rotate(query, key, *tables), expected, strict=True):
        torch.testing.assert_close(got, wanted.permute(2, 0, 1, 3))


@without_gpu
@pytest.mark.parametrize("choice", [FusedKernels.AUTO, FusedKernels.NONE])
def test_a_machine_without_a_gpu_computes_with_pytorch(choice):
    kernels = open_kernels(choice)
    assert kernels.rms_norm is plain_rms_norm
    assert open_kernels(choice, zero_centred_norms=True).rms_norm is plain_zero_centred_rms_norm
    assert not kernels.fused


@without_gpu
@pytest.mark.parametrize("choice", [FusedKernels.LIGER, FusedKernels.COMPILE])
def test_fused_kernels_without_a_gpu_are_refused(choice):
    with pytest.raises(WarpsmithError, match="needs a CUDA GPU"):
        open_kernels(choice)
