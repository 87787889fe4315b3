"""What this GPU reaches at best: bandwidth of a copy and of a read, rates of matrix products.

Used inside workers, and by training for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_COPY_BYTES = 2 << 30
_MATRIX = 8192
_REPEATS = 10
_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def measure() -> dict[str, Any]:
    """Bytes per second, and floating-point operations per second by input dtype (float32 with TF32)."""
    source = torch.randn(_COPY_BYTES // 4, device="cuda")
    target = torch.empty_like(source)
    copy = 2 * source.nbytes / _seconds(lambda: target.copy_(source))
    read = source.nbytes / _seconds(lambda: torch.amax(source))
    source = target = torch.empty(0)
    torch.backends.cuda.matmul.allow_tf32 = True
    rates = {name: product_rate(dtype) for name, dtype in _DTYPES.items()}
    torch.backends.cuda.matmul.allow_tf32 = False
    return {"copy_bytes_per_s": copy, "read_bytes_per_s": read, "flops_per_s": rates}


def product_rate(dtype: torch.dtype) -> float:
    """Operations per second of a large product of two matrices of this type."""
    left, right = (torch.randn(_MATRIX, _MATRIX, device="cuda").to(dtype) for _ in range(2))
    return 2 * _MATRIX**3 / _seconds(lambda: left @ right)


def _seconds(run: Callable[[], Any]) -> float:
    """The shortest of several runs, by events: a peak is a best, not a mean."""
    for _ in range(3):
        run()
    best = float("inf")
    for _ in range(_REPEATS):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        stop.record()
        stop.synchronize()
        best = min(best, start.elapsed_time(stop) / 1e3)
    return best
