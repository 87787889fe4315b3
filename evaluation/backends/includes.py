"""Which headers a CUDA source may include: NVRTC's error messages would quote any other file.

The text is read as the preprocessor reads it: see `evaluation.source_text`.
"""

from __future__ import annotations

import re

from evaluation.source_text import directives, plain, unclear
from evaluation.verdict import Refusal, Status

ALLOWED = frozenset(
    {
        "cuda_runtime.h",
        "cuda.h",
        "device_launch_parameters.h",
        "cuda_fp16.h",
        "cuda_bf16.h",
        "cuda_fp8.h",
        "math_constants.h",
        "cooperative_groups.h",
        "cooperative_groups/reduce.h",
        "cooperative_groups/scan.h",
        "cooperative_groups/memcpy_async.h",
        "cuda_pipeline.h",
        "cuda_pipeline_primitives.h",
        "mma.h",
        "vector_types.h",
        "cub/block/block_reduce.cuh",
        "cub/block/block_scan.cuh",
        "cub/warp/warp_reduce.cuh",
        "cub/warp/warp_scan.cuh",
        "stdint.h",
        "stddef.h",
        "float.h",
        "limits.h",
        "math.h",
        "stdio.h",
        "stdlib.h",
        "string.h",
        "assert.h",
        "cstdint",
        "cstddef",
        "cfloat",
        "climits",
        "cmath",
        "cstdio",
        "cstdlib",
        "cstring",
        "cassert",
    }
)
"""Headers of device code; the standard ones are ours (`nvrtc_include`)."""

_READS = frozenset({"include", "include_next", "import", "embed"})
_HEADER = re.compile(r'[<"]([^<>"]+)[>"]')


def refuse(source: str) -> Refusal | None:
    """Refuse a source that includes, embeds or looks for a file that is not in ALLOWED."""
    doubt = unclear(source)
    if doubt is not None:
        return _reject(doubt)
    text = plain(source)
    for directive, rest in directives(text):
        header = _HEADER.fullmatch(rest)
        if directive in _READS and (directive != "include" or header is None or header[1] not in ALLOWED):
            return _reject(
                f"#{directive} {rest[:80]} is not allowed; a kernel may include device headers only"
            )
    if re.search(r"\b__has_(?:include|embed)", text):
        return _reject("__has_include is not allowed; include the header, or do not")
    return None


def _reject(reason: str) -> Refusal:
    return Refusal(status=Status.REJECTED, reason=reason)
