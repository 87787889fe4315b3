"""Which headers a kernel may include, on both backends or on a GPU only."""

from __future__ import annotations

_C = ("stdint", "stddef", "float", "limits", "math", "stdio", "stdlib", "string", "assert")
EVERYWHERE = frozenset(
    {
        "cuda.h",
        "cuda_runtime.h",
        "cuda_fp16.h",
        "cuda_bf16.h",
        "math_constants.h",
        "device_launch_parameters.h",
        "vector_types.h",
        "cooperative_groups.h",
        "cooperative_groups/reduce.h",
        "cooperative_groups/memcpy_async.h",
        "cooperative_groups/scan.h",
        "cuda_pipeline.h",
        "cuda_pipeline_primitives.h",
        "mma.h",
        "algorithm",
        "limits",
        "type_traits",
        "utility",
        *(f"{name}.h" for name in _C),
        *(f"c{name}" for name in _C),
    }
)
"""Headers that the shim of the simt backend stands for. NVRTC lacks the standard ones: those are ours."""

ON_A_GPU = EVERYWHERE | {
    "cuda_fp8.h",
    "cub/block/block_reduce.cuh",
    "cub/block/block_scan.cuh",
    "cub/warp/warp_reduce.cuh",
    "cub/warp/warp_scan.cuh",
}
